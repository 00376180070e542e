// The shapes that the chat page asks for and gets, as types for the editor and for `tsc --checkJs`. No code lives here.

/**
 * @typedef {object} Message
 * @property {number} index
 * @property {string} name
 * @property {boolean} isUser
 * @property {boolean} isSystem hidden from the model
 * @property {number | string | null} sentAt
 * @property {string} text
 * @property {string} html
 * @property {string} [reasoning]
 * @property {string} [reasoningHtml]
 * @property {{at: number, count: number} | null} [swipe]
 * @property {boolean} [unfinished]
 * @property {boolean} [damaged]
 * @property {string[]} [images]
 * @property {any} [extra]
 *
 * @typedef {{text: string, depth: number, role: string, interval: number}} Note
 *
 * @typedef {object} Chat
 * @property {string} character
 * @property {string} characterName
 * @property {string} [avatar]
 * @property {string} chat
 * @property {number} [begun] the moment that it is named after
 * @property {string} version
 * @property {number} count
 * @property {number} first
 * @property {boolean} pinned
 * @property {any} metadata
 * @property {Message[]} messages
 * @property {string | null} [generation]
 *
 * @typedef {object} ChatItem of a group's chat there are `group` and `groupName` in place of the character
 * @property {string} character
 * @property {string} characterName
 * @property {string | null} [group]
 * @property {string} [groupName]
 * @property {string} [avatar]
 * @property {string} chat
 * @property {number} [begun] the moment that it is named after
 * @property {string} version
 * @property {number} messages
 * @property {number} size
 * @property {number} modified
 * @property {boolean} pinned
 * @property {string} [preview]
 * @property {string | null} [generation]
 *
 * @typedef {{id: string, name: string, avatar: string, tags?: string[], summary?: string, favorite?: boolean}} Character
 * @typedef {{id: string, name: string, kind: string, model: string | null, scope: string}} Connection
 * @typedef {{connections: Connection[], default: string | null}} Connections
 * @typedef {{id: string, name: string, avatar: string, default?: boolean, description?: string}} Persona
 * @typedef {{default: string | null, items: Persona[]}} Personas
 *
 * @typedef {{character: string, characterName: string, groupName?: string, chat: string, index: number, name: string, snippet: string}} Hit
 *
 * @typedef {{name: string, role: string, text: string, tokens: number, depth?: number}} PromptPart
 * @typedef {object} Prompt
 * @property {string} connection
 * @property {string} model
 * @property {number} context
 * @property {"set" | "model" | "usual"} contextSource
 * @property {number} reserved
 * @property {PromptPart[]} parts
 * @property {number} tokens
 * @property {boolean} exact
 * @property {{messages: number, lore: number, keys: number}} [leftOut]
 *
 * @typedef {"reply" | "swipe" | "continue" | "regenerate" | "impersonate"} Kind
 *
 * @typedef {object} Running a reply that is coming in
 * @property {string} id
 * @property {Kind} kind
 * @property {number | null} index of the message that it becomes
 * @property {string} text what came since the last HTML
 * @property {string} html
 * @property {string} reasoning
 * @property {string} whole all the text that came
 * @property {string} before what the message had, where it is continued
 * @property {boolean} started
 * @property {number} [thinkingSince] when the first thought came
 * @property {number} [thoughtFor] how long it thought, in seconds
 * @property {number | null} [place] how many wait before it
 *
 * @typedef {object} Waiting a message that is on its way, or could not be sent
 * @property {string} id
 * @property {string} text
 * @property {string[]} images
 * @property {unknown} [error]
 */

export {};
