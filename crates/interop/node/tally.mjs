// A reporter of Node's test runner: of each suite, which is called after a role of ours, how many
// tests passed, failed and were skipped, in a line of four fields.
export default async function* tally(events) {
  const counts = new Map();
  let suite = "";
  for await (const { type, data } of events) {
    if (type === "test:start" && data.nesting === 0) suite = data.name;
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.details?.type === "suite") continue;
    // What stands in no suite is the file itself, if it could not be run.
    const name = data.nesting > 0 ? suite : "(all)";
    if (!counts.has(name)) counts.set(name, { passed: 0, failed: 0, skipped: 0 });
    const count = counts.get(name);
    if (data.skip !== undefined) count.skipped += 1;
    else count[type === "test:pass" ? "passed" : "failed"] += 1;
  }
  for (const [name, { passed, failed, skipped }] of counts) {
    yield `${name}\t${passed}\t${failed}\t${skipped}\n`;
  }
}
