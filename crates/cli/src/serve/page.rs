//! The tester page, which needs nothing from anywhere else.
//!
//! The page stands at the path of the WebSocket, and its files beside it in `tester/`: for `/` that
//! is `/tester/app.js`, for `/a/echo` it is `/a/tester/app.js`. So the page and its modules refer
//! to each other without knowing the path.

use duologue_tokio::HttpResponse;

/// Where the files are, seen from the page.
const FOLDER: &str = "tester/";

pub(super) struct File {
    name: &'static str,
    content_type: &'static str,
    body: &'static str,
}

const PAGE: File = File {
    name: "",
    content_type: "text/html; charset=utf-8",
    body: include_str!("../../assets/index.html"),
};

const FILES: &[File] = &[
    File {
        name: "icon.svg",
        content_type: "image/svg+xml",
        body: include_str!("../../assets/icon.svg"),
    },
    style("log.css", include_str!("../../assets/log.css")),
    style("style.css", include_str!("../../assets/style.css")),
    script("app.js", include_str!("../../assets/app.js")),
    script("close-codes.js", include_str!("../../assets/close-codes.js")),
    script("connection.js", include_str!("../../assets/connection.js")),
    script("dom.js", include_str!("../../assets/dom.js")),
    script("hex.js", include_str!("../../assets/hex.js")),
    script("log.js", include_str!("../../assets/log.js")),
    script("plot.js", include_str!("../../assets/plot.js")),
    script("round-trips.js", include_str!("../../assets/round-trips.js")),
    script("sender.js", include_str!("../../assets/sender.js")),
];

const fn style(name: &'static str, body: &'static str) -> File {
    File { name, content_type: "text/css; charset=utf-8", body }
}

const fn script(name: &'static str, body: &'static str) -> File {
    File { name, content_type: "text/javascript; charset=utf-8", body }
}

/// The page runs its own scripts and style and connects to wherever its user says. Nobody frames
/// it, and nothing in it makes markup of text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src ws: wss:; form-action 'none'; base-uri 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'";

/// The page or the file of it that stands at `requested`, where the page stands at `path`.
pub(super) fn find(path: &str, requested: &str) -> Option<&'static File> {
    if requested == path {
        return Some(&PAGE);
    }
    let (folder, _) = path.rsplit_once('/')?;
    let name = requested.strip_prefix(folder)?.strip_prefix('/')?.strip_prefix(FOLDER)?;
    FILES.iter().find(|file| file.name == name)
}

impl File {
    pub(super) fn response(&self) -> HttpResponse {
        HttpResponse::new(200)
            .field("Content-Type", self.content_type)
            // All are of one build of the server, so none may outlive it in a cache.
            .field("Cache-Control", "no-cache")
            .field("Content-Security-Policy", POLICY)
            .field("Referrer-Policy", "no-referrer")
            .field("X-Content-Type-Options", "nosniff")
            .body(self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in `text` behind each `before`, up to the quotation mark.
    fn quoted<'t>(text: &'t str, before: &'t str) -> impl Iterator<Item = &'t str> {
        text.split(before).skip(1).filter_map(|rest| rest.split_once('"').map(|(name, _)| name))
    }

    fn references(text: &str) -> impl Iterator<Item = &str> {
        ["src=\"", "href=\"", "from \""].into_iter().flat_map(|before| quoted(text, before))
    }

    #[test]
    fn every_file_that_is_referred_to_is_served_and_no_other() {
        let of_page = references(PAGE.body).map(|name| name.strip_prefix(FOLDER).expect(name));
        let of_files = FILES
            .iter()
            .flat_map(|file| references(file.body))
            .map(|name| name.strip_prefix("./").expect(name));
        let mut referred: Vec<&str> = of_page.chain(of_files).collect();
        referred.sort_unstable();
        referred.dedup();
        let mut served: Vec<&str> = FILES.iter().map(|file| file.name).collect();
        served.sort_unstable();
        assert_eq!(referred, served);
    }

    #[test]
    fn files_stand_beside_the_page_whatever_its_path() {
        for (path, file) in [
            ("/", "/tester/app.js"),
            ("/echo", "/tester/app.js"),
            ("/a/echo", "/a/tester/app.js"),
            ("/a/", "/a/tester/app.js"),
        ] {
            assert_eq!(find(path, path).expect(path).name, "");
            assert_eq!(find(path, file).expect(path).name, "app.js");
        }
    }

    #[test]
    fn nothing_else_is_a_file() {
        for requested in ["/", "/a", "/a/tester/", "/a/app.js", "/tester/app.js", "/a/tester/a.js"]
        {
            assert!(find("/a/echo", requested).is_none(), "{requested}");
        }
    }
}
