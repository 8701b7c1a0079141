// Close codes: their names and meanings (RFC 6455 section 7.4 and the IANA registry that it opens).

const NAMED = new Map([
  [1000, ["Normal Closure", "The purpose of the connection is fulfilled."]],
  [1001, ["Going Away", "The endpoint goes away: a server stops, or a page is left."]],
  [1002, ["Protocol Error", "The other side broke the WebSocket protocol."]],
  [1003, ["Unsupported Data", "A message is of a kind that is not accepted, such as binary."]],
  [1004, ["Reserved", "It has no meaning yet and is not sent."]],
  [1005, ["No Status Received", "The Close frame held no code. Only reported, never sent."]],
  [
    1006,
    [
      "Abnormal Closure",
      "The connection ended without a Close frame: it was not made, was cut, or the server is " +
        "gone. The browser does not tell a page which. Only reported, never sent.",
    ],
  ],
  [1007, ["Invalid Payload Data", "A message does not fit its type, such as text not in UTF-8."]],
  [1008, ["Policy Violation", "A message breaks the policy of the endpoint."]],
  [1009, ["Message Too Big", "A message is larger than the endpoint takes."]],
  [
    1010,
    ["Mandatory Extension", "The client needs an extension that the server did not agree to."],
  ],
  [1011, ["Internal Error", "The server met a condition that keeps it from going on."]],
  [1012, ["Service Restart", "The service restarts; connect again in a while."]],
  [1013, ["Try Again Later", "The service is overloaded."]],
  [1014, ["Bad Gateway", "A gateway got a bad answer from the server behind it."]],
  [1015, ["TLS Handshake", "The TLS handshake failed. Only reported, never sent."]],
  [3000, ["Unauthorized", "The client has to authenticate itself, as with HTTP's 401."]],
  [3003, ["Forbidden", "The client may not do this, as with HTTP's 403."]],
  [3008, ["Timeout", "Something took too long, as with HTTP's 408."]],
]);

const RANGES = [
  [0, 999, "Unused", "Codes below 1000 are never used."],
  [1000, 2999, "Reserved", "Kept for the protocol itself, its later versions and extensions."],
  [3000, 3999, "Registered", "For libraries, frameworks and applications, registered with IANA."],
  [4000, 4999, "Private Use", "Its meaning is a matter of the application."],
];

/** The name and the meaning of a code. */
export function describe(code) {
  const named = NAMED.get(code);
  if (named) return { name: named[0], meaning: named[1] };
  const range = RANGES.find(([first, last]) => first <= code && code <= last);
  if (range) return { name: range[2], meaning: range[3] };
  return { name: "Not a Code", meaning: "Close codes are 1000 to 4999." };
}

/** Whether a page may close with it. */
export function isForPages(code) {
  return code === 1000 || (code >= 3000 && code <= 4999);
}

/** Every named code and every range, for a table: what it covers, its name, its meaning. */
export function* everyCode() {
  for (const [code, [name, meaning]] of NAMED) yield [String(code), name, meaning];
  for (const [first, last, name, meaning] of RANGES.slice(2)) {
    yield [`${first}\u2013${last}`, name, meaning];
  }
}
