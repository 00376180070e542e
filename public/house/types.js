// The shapes that `/api/v1` answers with, as types for the editor and for `tsc --checkJs`. No code lives here.

/**
 * @typedef {{handle: string, name: string, avatar: string, locked: boolean}} Person
 *
 * @typedef {object} Me
 * @property {string} handle
 * @property {string} name
 * @property {string} role
 * @property {string[]} permissions
 * @property {string} avatar
 * @property {boolean} ownAvatar
 * @property {boolean} hasPassword
 * @property {number} created
 * @property {boolean} soleAccount
 *
 * @typedef {object} House
 * @property {string} name
 * @property {string} version
 * @property {string} csrfToken
 * @property {boolean} accounts
 * @property {"none" | "picker" | "discreet"} login
 * @property {number} recoveryCodeLength
 * @property {number} trashDays for how many days what was deleted is kept
 * @property {number} undoDays for how many days undo points and the folders of deleted accounts are
 * @property {Person[]} [people]
 * @property {Me | null} me
 *
 * @typedef {{id: string, device: string, address: string, created: number, lastUsed: number, current: boolean}} Session
 *
 * @typedef {{name: string, date: number, size: number, sameAsNow: boolean}} Snapshot
 * @typedef {{path: (string | number)[], kind: "changed" | "added" | "removed", then?: unknown, now?: unknown}} Change
 * @typedef {{changes: Change[], truncated: boolean}} Diff
 *
 * @typedef {object} SettingsState
 * @property {"ok" | "missing" | "damaged"} state
 * @property {number} size
 * @property {number | null} modified
 * @property {string[]} damagedCopies
 * @property {string | null} lastGood
 *
 * @typedef {{id: string, url: string, fileName: string, files: number, bytes: number}} Ticket
 *
 * @typedef {object} BackupState
 * @property {"waiting" | "running" | "done" | "failed"} state
 * @property {number} files
 * @property {number} bytes
 * @property {number} filesDone
 * @property {number} bytesDone
 * @property {string | null} [message]
 *
 * @typedef {object} Part
 * @property {string} part
 * @property {string} title
 * @property {number} files
 * @property {number} bytes
 * @property {number} add
 * @property {number} replace
 * @property {number} same
 * @property {number} remove
 * @property {{add: string[], replace: string[], remove: string[]}} examples
 *
 * @typedef {object} Plan
 * @property {"tavernkeep" | "sillytavern"} source
 * @property {string | null} handle
 * @property {number | null} created
 * @property {boolean} verified
 * @property {number} files
 * @property {number} bytes
 * @property {Part[]} parts
 * @property {string[]} notIncluded
 *
 * @typedef {{id: string, date: number, reason: "restore" | "reset" | "undo", bytes: number, parts: string[]}} UndoPoint
 *
 * @typedef {object} User
 * @property {string} handle
 * @property {string} name
 * @property {string} role
 * @property {boolean} enabled
 * @property {boolean} hasPassword
 * @property {boolean} ownAvatar
 * @property {string} avatar
 * @property {number} created
 * @property {number | null} lastSeen
 * @property {boolean} isMe
 * @property {boolean} isDefault
 * @property {boolean} lastAdmin
 *
 * @typedef {{handle: string, taken: boolean, hasData: boolean}} Slug
 */

export {};
