// Bytes as hex digits, both ways.

/** Pairs of hex digits to bytes; spaces, commas, colons and 0x are passed over. */
export function parseHex(text) {
  const digits = text.replace(/0x|[\s,:]/gi, "");
  const other = /[^0-9a-f]/i.exec(digits);
  if (other) throw new SyntaxError(`"${other[0]}" is no hex digit.`);
  if (digits.length % 2) throw new SyntaxError("The number of hex digits is odd; a byte has two.");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Two digits for each byte, with `separator` between the bytes. */
export function toHex(bytes, separator = " ") {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(separator);
}

/** A dump in three columns of equally many lines: offsets, digits, and what is printable ASCII. */
export function dump(bytes, perLine) {
  const offsets = [];
  const digits = [];
  const characters = [];
  for (let offset = 0; offset < bytes.length; offset += perLine) {
    const line = bytes.subarray(offset, offset + perLine);
    offsets.push(offset.toString(16).padStart(4, "0"));
    const half = perLine / 2;
    digits.push(`${toHex(line.subarray(0, half))}  ${toHex(line.subarray(half))}`.trimEnd());
    characters.push(
      Array.from(line, (byte) =>
        byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "\u00b7",
      ).join(""),
    );
  }
  return [offsets, digits, characters].map((lines) => lines.join("\n"));
}
