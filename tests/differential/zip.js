// Reads a zip from memory: names, sizes, contents. No more than the tests need.
import { inflateRawSync } from "node:zlib";

/** @param {Buffer} zip @returns {Map<string, Buffer>} */
export function unzip(zip) {
  const entries = new Map();
  const end = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (end < 0) throw new Error("this is no zip");
  let at = zip.readUInt32LE(end + 16);
  let count = zip.readUInt16LE(end + 10);
  if (at === 0xffffffff || count === 0xffff) {
    const end64 = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 6, 6]));
    count = Number(zip.readBigUInt64LE(end64 + 32));
    at = Number(zip.readBigUInt64LE(end64 + 48));
  }
  for (let n = 0; n < count; n++) {
    const method = zip.readUInt16LE(at + 10);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((where) => zip.readUInt16LE(at + where));
    const name = zip.toString("utf8", at + 46, at + 46 + nameLength);
    const extra = zip.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
    let [packed, size, start] = [20, 24, 42].map((where) => zip.readUInt32LE(at + where));
    for (let x = 0; x + 4 <= extra.length; x += 4 + extra.readUInt16LE(x + 2)) {
      if (extra.readUInt16LE(x) !== 1) continue;
      let field = x + 4;
      const next = (value) => (value === 0xffffffff ? Number(extra.readBigUInt64LE((field += 8) - 8)) : value);
      [size, packed, start] = [next(size), next(packed), next(start)];
    }
    const from = start + 30 + zip.readUInt16LE(start + 26) + zip.readUInt16LE(start + 28);
    const data = zip.subarray(from, from + packed);
    entries.set(name, method === 8 ? inflateRawSync(data) : data);
    at += 46 + nameLength + extraLength + commentLength;
  }
  return entries;
}
