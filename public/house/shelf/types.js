// The shapes of what lies on the shelf, as `/api/v1` answers them. No code lives here.

/**
 * @typedef {object} CardItem one of the list of characters
 * @property {string} id
 * @property {string} name
 * @property {string} avatar
 * @property {string[]} tags
 * @property {boolean} favorite
 * @property {string} creator
 * @property {string} summary
 * @property {number | null} added
 * @property {number | null} lastChat
 * @property {number} chatSize
 * @property {string | boolean} [damaged]
 *
 * @typedef {{name: string, count: number}} TagCount
 * @typedef {{total: number, tags: TagCount[], items: CardItem[]}} CardPage
 *
 * @typedef {{prompt: string, depth: number, role: string}} DepthPrompt
 *
 * @typedef {object} Character
 * @property {string} id
 * @property {string} name
 * @property {string} version
 * @property {string} avatar
 * @property {boolean} favorite
 * @property {string[]} tags
 * @property {string} description
 * @property {string} personality
 * @property {string} scenario
 * @property {string} firstMessage
 * @property {string[]} alternateGreetings
 * @property {string} exampleMessages
 * @property {string} systemPrompt
 * @property {string} postHistoryInstructions
 * @property {string} creator
 * @property {string} creatorNotes
 * @property {string} [creatorNotesHtml]
 * @property {string} characterVersion
 * @property {DepthPrompt | null} depthPrompt
 * @property {number | null} talkativeness
 * @property {string | null} world
 * @property {Book | null} lorebook
 * @property {string} [spec]
 * @property {string | boolean} [damaged]
 *
 * @typedef {Record<string, unknown>} Entry an entry of a lorebook with all its fields, known and unknown
 * @typedef {{entries?: Entry[] | Record<string, Entry>, [field: string]: unknown}} Book
 *
 * @typedef {{id: string, name: string, description: string, avatar: string, position?: number, depth?: number, role?: number, default: boolean, version: string}} Persona
 *
 * @typedef {object} Connection
 * @property {string} id
 * @property {"own" | "house"} scope
 * @property {string} name
 * @property {string} kind
 * @property {string} [baseUrl]
 * @property {string | null} model
 * @property {Record<string, any>} parameters
 * @property {string | null} [template]
 * @property {boolean} hasKey
 *
 * @typedef {{connections: Connection[], default: string | null, echo?: boolean, damaged?: string[]}} Connections
 * @typedef {{name: string, kind: string, baseUrl: string, needsKey: boolean, note: string}} Preset
 * @typedef {{id: string, name?: string | null, context?: number | null}} Model
 * @typedef {{ok: boolean, ms: number, models?: Model[] | string[] | number, reply?: string, message: string}} TestResult
 * @typedef {{kind: string, name: string, baseUrl: string, models: (Model | string)[]}} Found
 *
 * @typedef {{prompt: number, completion: number, requests: number}} Spent
 * @typedef {{days: ({date: string, connection: string, model: string} & Spent)[], total: Spent}} Usage
 *
 * @typedef {object} Hit in a group's chat there is `groupName` in place of the character
 * @property {string} character
 * @property {string} characterName
 * @property {string} [groupName]
 * @property {string} chat
 * @property {number} [begun]
 * @property {number} index
 * @property {string} name
 * @property {boolean} isUser
 * @property {string | number | null} sentAt
 * @property {string} snippet
 *
 * @typedef {{total?: number, hits: Hit[], indexing?: {done: number, total: number} | null}} Hits
 *
 * @typedef {object} Thrown one thing in the trash
 * @property {string} id
 * @property {"chat" | "version" | "character" | "lorebook" | "persona"} kind
 * @property {"chat" | "character" | "lorebook" | "persona"} thing what it was, or was a version of
 * @property {string} name
 * @property {string | null} [of]
 * @property {number} [begun]
 * @property {number} size
 * @property {number} deleted
 * @property {number | null} expires
 *
 * @typedef {{id: string, name: string, created: number, expires: number | null, lastUsed?: number | null, ended?: boolean}} ApiKey
 */

export {};
