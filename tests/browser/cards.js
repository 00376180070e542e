// Character cards for the tests: as JSON, and as a PNG that carries one, as card sites hand them out.
import { crc32 } from "node:zlib";

/** @param {string} name @param {Record<string, unknown>} [fields] a card of version 2 */
export const card = (name, fields = {}) => ({
  spec: "chara_card_v2",
  spec_version: "2.0",
  data: {
    name,
    description: `${name} keeps the door.`,
    personality: "patient",
    scenario: "An inn in the rain.",
    first_mes: `*${name} looks up.* "Come in, it is wet."`,
    mes_example: "<START>\n{{user}}: Hello\n{{char}}: Good evening.",
    creator_notes: "Made for **tests**.",
    system_prompt: "",
    post_history_instructions: "",
    alternate_greetings: [],
    tags: ["inn"],
    creator: "nobody",
    character_version: "1",
    extensions: {},
    ...fields,
  },
});

/** @param {string} name @param {unknown} content @returns {{name: string, mimeType: string, buffer: Buffer}} a file to choose in a page */
export const file = (name, content) => ({
  name,
  mimeType: name.endsWith(".png") ? "image/png" : "application/json",
  buffer:
    content instanceof Uint8Array
      ? Buffer.from(content)
      : Buffer.from(typeof content === "string" ? content : JSON.stringify(content)),
});

/** Puts a card into a picture. @param {Uint8Array} png @param {unknown} content @returns {Uint8Array} */
export function intoPicture(png, content) {
  const text = Buffer.concat([
    Buffer.from("tEXtchara\0", "latin1"),
    Buffer.from(Buffer.from(JSON.stringify(content)).toString("base64"), "latin1"),
  ]);
  const chunk = Buffer.alloc(text.length + 8);
  chunk.writeUInt32BE(text.length - 4, 0);
  text.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(text), text.length + 4);
  // The last chunk, IEND, is twelve bytes long.
  return Buffer.concat([png.subarray(0, -12), chunk, png.subarray(-12)]);
}
