//! The words below a table: what was found, how, and what it does not tell.

use super::client::request;
use super::{BYTES, CPU, EVENTS, FAST, LONG, MEAN, MEDIAN, OURS, Plan, SLOW, update};
use crate::report::markdown::number;
use crate::results::Table;

/// What was found, then how, then what it does not tell.
pub(super) fn note(plan: Plan, table: &Table, failures: &[String]) -> String {
    let failed = if failures.is_empty() {
        String::new()
    } else {
        format!(" Failed: {}.", failures.join("; "))
    };
    let found = found(table).unwrap_or_default();
    if plan.clients > 1 {
        return format!(
            "{found}The same with {} clients, each with its connection and its own check of every \
             update; an update is counted once for each client that it comes to, and the latencies \
             of all clients are taken together. The server's core sends to one client after the \
             other, and the clients share one core: their latency is the wait for their turn. \
             {} rounds of {} updates.{failed}",
            plan.clients, plan.rounds, plan.updates
        );
    }
    let head = request(([127, 0, 0, 1], 40_000).into(), "/updates?after=100", "*/*").len();
    format!(
        "{found}Setup: updates of {length} B of JSON with a sequence number and a timestamp of the \
         monotonic clock are published at moments that look random and are the same for all \
         (exponential gaps with a mean of {mean} ms), {rounds} rounds of {updates} in which the \
         contenders take turns. Each client keeps one connection open throughout, and checks that \
         every update comes once, in order, byte by byte. Polling, long polling and server-sent \
         events are served by hyper over HTTP/1.1 kept alive, WebSocket by duologue-tokio \
         (`feed_text` of all that is pending, `flush`); servers are one thread on one core, \
         clients on another. A request is that of Chromium, some {head} B without any cookie, and an \
         opening handshake has a browser's fields too; a poll carries all updates since the last \
         one, one a line, and is answered by 204 if there is none. Bytes are counted at the \
         client's socket, heads of HTTP and frames included, heads of TCP and IP not; latency is \
         from the timestamp to the parsed update; CPU is the server process's clock, program and \
         kernel, while updates are delivered. Publishing itself, a timer and some JSON, is in every \
         figure of CPU, and is most of it where requests are few. Each round has its percentiles, \
         of which the median stands here; the three lowest rows are of all rounds together. \
         Limits: loopback has no network latency. A network adds half a round trip to each way, \
         and up to one and a half to a long poll, for an update that falls between a response and \
         the next request. There is no TLS, no proxy, and no HTTP/2, which compresses heads that \
         repeat and so takes away most of the bytes of polling. Updates that come every {mean} ms \
         are kind to polling: where they are rare, nearly all requests of a frequent poll find \
         nothing. Polling at long intervals costs little, since a response carries many updates; \
         its price is that they are late by half the interval.\
         {failed}",
        length = update::LENGTH,
        mean = MEAN.as_millis(),
        rounds = plan.rounds,
        updates = plan.updates,
    )
}

/// The result in a sentence or two, by the medians of the table.
fn found(table: &Table) -> Option<String> {
    let get = |row, contender| table.figure(row, contender).map(|figure| figure.median);
    let of = |contender| {
        let (median, bytes) = (get(MEDIAN, contender)?, get(BYTES, contender)?);
        Some((median, bytes, get(CPU, contender)?))
    };
    let tell = |(median, bytes, cpu): (f64, f64, f64)| {
        format!("{}, {} B and {} us", duration(median), number(bytes), number(cpu))
    };
    let (ours, events, long) = (of(OURS)?, of(EVENTS)?, of(LONG)?);
    let (fast, slow) = (of(FAST)?, of(SLOW)?);
    Some(format!(
        "Latency (median), bytes both ways and the server's CPU for an update: by WebSocket {}; by \
         server-sent events {}; by long polling {}; by polling every 10 ms {}, every second {}. \
         Long polling so takes {} times the bytes and {} times the CPU of WebSocket; polling every \
         10 ms takes {} times the bytes and {} times the CPU, and has {} times the latency.\n\n",
        tell(ours),
        tell(events),
        tell(long),
        tell(fast),
        tell(slow),
        number(long.1 / ours.1),
        number(long.2 / ours.2),
        number(fast.1 / ours.1),
        number(fast.2 / ours.2),
        number(fast.0 / ours.0),
    ))
}

/// So many microseconds, in milliseconds if they are many.
fn duration(microseconds: f64) -> String {
    if microseconds < 1000.0 {
        format!("{} us", number(microseconds))
    } else {
        format!("{} ms", number(microseconds / 1000.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::CONTENDERS;
    use super::*;
    use crate::results::figure;

    #[test]
    fn what_was_found_is_told_by_the_medians() {
        let mut table = Table {
            id: "push-1".into(),
            title: String::new(),
            unit: String::new(),
            note: String::new(),
            smaller_is_better: true,
            lenient: Vec::new(),
            figures: Vec::new(),
        };
        assert_eq!(found(&table), None);
        for (factor, contender) in (1..).zip(CONTENDERS) {
            for (row, median) in [(MEDIAN, 400.0), (BYTES, 100.0), (CPU, 20.0)] {
                table.figures.push(figure(row, contender.name, vec![median * f64::from(factor)]));
            }
        }
        let text = found(&table).unwrap();
        for told in [
            "by WebSocket 400 us, 100 B and 20.0 us;",
            "by long polling 1.20 ms, 300 B and 60.0 us;",
            "polling every 10 ms takes 4.00 times the bytes",
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
    }
}
