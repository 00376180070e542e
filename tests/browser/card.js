// Character cards as they are passed around: a PNG whose text chunks hold the card, as version 2 and version 3.
import { Buffer } from "node:buffer";

/** @param {Uint8Array} bytes */
function crc(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

/** @param {string} keyword @param {object} value */
function textChunk(keyword, value) {
  const words = Buffer.from(JSON.stringify(value)).toString("base64");
  const body = Buffer.concat([Buffer.from("tEXt"), Buffer.from(`${keyword}\0${words}`, "latin1")]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(body.length - 4, 0);
  frame.writeUInt32BE(crc(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

/**
 * @param {Uint8Array} picture a PNG
 * @param {{name: string, first_mes?: string, description?: string, alternate_greetings?: string[], [field: string]: unknown}} card
 */
export function cardOf(picture, card) {
  const data = {
    description: "",
    personality: "",
    scenario: "",
    first_mes: "",
    mes_example: "",
    creator_notes: "",
    system_prompt: "",
    post_history_instructions: "",
    alternate_greetings: [],
    tags: ["inn"],
    creator: "the house",
    character_version: "1",
    extensions: { talkativeness: "0.5", fav: false, depth_prompt: { prompt: "", depth: 4, role: "system" } },
    ...card,
  };
  const { description, personality, scenario, first_mes, mes_example } = data;
  const second = { name: card.name, description, personality, scenario, first_mes, mes_example, spec: "chara_card_v2", spec_version: "2.0", data };
  const third = { spec: "chara_card_v3", spec_version: "3.0", data: { ...data, group_only_greetings: [] } };
  const bytes = Buffer.from(picture);
  const end = bytes.lastIndexOf("IEND") - 4;
  return Buffer.concat([bytes.subarray(0, end), textChunk("chara", second), textChunk("ccv3", third), bytes.subarray(end)]);
}
