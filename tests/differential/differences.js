// Where the two are meant to differ. Each entry says why, and which parts of the answer differ and how:
// part: [SillyTavern's value, ours], each a value, a pattern or a function. A part that does not differ fails the run, and
// so does an entry that nothing meets.

const JSON_ = "application/json;charset=utf-8";
const TEXT = "text/plain;charset=utf-8";
const HTML = "text/html;charset=utf-8";
const NOTHING = undefined;

const anything = () => true;
/** An error told as the client expects it. */
const error = (pattern) => (body) => pattern.test(body?.error ?? "");
const crashed = { status: 500, type: TEXT, body: "Internal Server Error" };
const done = { status: 204, type: NOTHING, body: "" };
const page = { status: 404, type: HTML, body: "<page>" };
const told = (status, pattern = /./) => ({ status, type: JSON_, body: error(pattern) });
const taken = (type = JSON_) => ({ status: 200, type, body: anything });

/** Two whole answers, as their differing parts. */
function answers(theirs, ours) {
  const parts = { body: [theirs.body, ours.body] };
  for (const part of ["status", "type", "location", "disposition"]) {
    if (theirs[part] !== ours[part]) parts[part] = [theirs[part], ours[part]];
  }
  return parts;
}

/** The names of so many snapshots. */
const snapshots = (handle, count) => Array(count).fill(`settings_${handle}_<stamp>.json`);

const wrongType = (theirs) => ({
  why: "A field of a wrong type is a clear 400; SillyTavern takes it for text, looks for it in vain, or fails.",
  parts: answers(theirs, told(400, /invalid type/)),
});

export const differences = {
  // What it is
  version: {
    why: "The agent's third part and an extra field say who answers; the client compares only the version.",
    parts: {
      "body.agent": ["SillyTavern:1.19.0:Cohee#1207", "SillyTavern:1.19.0:Tavernkeep"],
      "body.server": [NOTHING, /^Tavernkeep \d/],
    },
  },
  "own name without accounts": {
    why: "Without accounts the display name of default-user is still the one that was chosen, not always User.",
    parts: { "body.name": ["User", "Keeper"] },
  },

  // Paths and methods
  "no such route": {
    why: "Under /api errors are JSON, not a page.",
    parts: answers(page, told(404, /nothing here/)),
  },
  "no such route, head": { why: "Under /api errors are JSON, not a page.", parts: { type: [HTML, JSON_] } },
  "no such file": {
    why: "Pages and files of the client are public, so that one is missing is no secret either; the page says so kindly.",
    parts: { status: [403, 404], type: [TEXT, HTML], body: ["Forbidden", "<page>"] },
  },
  "a file takes no post": {
    why: "What takes only GET says so (405) instead of pretending to be missing.",
    parts: answers(page, { status: 405, type: TEXT, body: /./ }),
  },
  "a file takes no post, outside": {
    why: "What takes only GET says so (405) instead of pretending to be missing.",
    parts: { status: [403, 405], body: ["Forbidden", /./] },
  },
  "no foreign origins": {
    why: "No other site may call this server, so there is nothing to answer to a preflight.",
    parts: answers(done, told(404)),
  },

  // At the gate
  csrf: {
    why: "A missing CSRF token is told as JSON, which the client can show; SillyTavern sends a page with a stack trace.",
    parts: { type: [HTML, JSON_], body: ["<error page>", error(/Invalid CSRF token/)] },
  },
  "csrf behind the wall": {
    why: "Who is not signed in hears that first, whatever token was sent.",
    parts: { type: [HTML, TEXT], body: ["<error page>", "Forbidden"] },
  },
  "token per session": {
    why: "Signing in makes new CSRF tokens, so one that leaked before is worth nothing; the client loads the page anew.",
    parts: { status: [200, 403], body: [anything, error(/Invalid CSRF token/)] },
  },
  "visitor cookie": {
    why: "What ties a CSRF token to a browser before signing in need not outlive the browser.",
    parts: { "value.0.minutes": [576_000, NOTHING] },
  },
  "recovery ends sessions": {
    why: "A new or removed password ends every session, whichever way it came about.",
    parts: answers(taken(), { status: 403, type: TEXT, body: "Forbidden" }),
  },
  "a session ends": {
    why: "Sessions live on the server and end there: a copied cookie is worth nothing after signing out.",
    parts: answers(taken(), { status: 403, type: TEXT, body: "Forbidden" }),
  },
  "security headers": {
    why: "HSTS belongs to TLS; same-site addresses are no secret from ourselves; answers of the API are not kept.",
    parts: {
      "value.referrer-policy": ["no-referrer", "same-origin"],
      "value.strict-transport-security": [/max-age/, NOTHING],
      "value.cache-control": [NOTHING, "no-store"],
      "value.content-security-policy": [NOTHING, /default-src 'none'/],
      "value.x-response-time": [/ms$/, NOTHING],
      "value.etag": [/^W\//, NOTHING],
    },
  },
  "foreign origin": {
    why: "A request that a page elsewhere makes a browser send is refused by the browser's own word, besides the token.",
    parts: { status: [200, 403], body: [anything, error(/another site/)] },
  },
  "foreign host": {
    why: "hostWhitelist is on: the server answers only to its own names (DNS rebinding).",
    parts: { status: [200, 421], body: [anything, error(/hostWhitelist/)] },
  },
  "not on the whitelist": {
    why: "Who is not on the whitelist gets the reason as JSON.",
    parts: { type: [HTML, JSON_], body: [anything, error(/whitelist/)] },
  },

  // Bodies
  "bad body": {
    why: "A body that cannot be read is told as JSON, without a stack trace.",
    parts: { type: [HTML, JSON_], body: ["<error page>", error(/./)] },
  },
  "a form is no body": {
    why: "Forms are not read: they are what another site can make a browser send without asking.",
    parts: answers(taken(HTML), told(400, /Missing required fields/)),
  },
  "signing in by a form": {
    why: "Forms are not read: they are what another site can make a browser send without asking.",
    parts: answers(taken(), told(400, /Missing required fields/)),
  },
  "a field twice": {
    why: "A body that says two things is refused; which of them was meant is anybody's guess.",
    parts: answers(taken(HTML), told(400, /duplicate field/)),
  },
  "not UTF-8": { why: "JSON is UTF-8 without a mark; nothing is guessed.", parts: answers(taken(HTML), told(400)) },
  "charset of another kind": {
    why: "JSON is UTF-8 whatever its label says, so wrong bytes are a bad body, not an unknown charset.",
    parts: answers({ status: 415, type: HTML, body: "<error page>" }, told(400)),
  },
  "too large": {
    why: "Each route takes only what it needs; only settings and pictures are large.",
    parts: answers(taken(HTML), told(413)),
  },
  "wrong type (taken)": wrongType(taken()),
  "wrong type (text)": wrongType(taken(HTML)),
  "wrong type (done)": wrongType(done),
  "wrong type (403)": wrongType(told(403)),
  "wrong type (404)": wrongType(told(404)),
  "wrong type (500)": wrongType(crashed),

  // People
  "slug in other scripts": {
    why: "Letters of other scripts are written in Latin ones, so that everybody can have a handle like their name.",
    parts: { body: ["", /^[a-z0-9]+(-[a-z0-9]+)*$/] },
  },
  "slug of a ligature": { why: "A ligature is its letters.", parts: { body: ["ne", "fine"] } },
  "admins are made by promoting": {
    why: "Every account begins as an ordinary user; the client never asks for anything else.",
    parts: { "body.*.admin": [true, false] },
  },
  "a name has an end": {
    why: "Display names have 1 to 100 characters and no control characters.",
    parts: answers(taken(), told(400, /name/)),
  },
  "a changed name has an end": {
    why: "Display names have 1 to 100 characters and no control characters.",
    parts: answers(done, told(400, /name/)),
  },
  "a password has an end": {
    why: "What bcrypt would cut off is refused (71 bytes).",
    parts: answers(taken(), told(400, /71 bytes/)),
  },
  "a changed password has an end": {
    why: "What bcrypt would cut off is refused (71 bytes), before the old one is looked at.",
    parts: { status: [403, 400], "body": [error(/Incorrect password/), error(/71 bytes/)] },
  },
  "an endless password": {
    why: "Absurdly long input is not hashed.",
    parts: { status: [403, 400], body: [error(/Incorrect credentials/), error(/longer/)] },
  },
  "a handle as a phone writes it": {
    why: "Capitals and spaces around a handle do not keep its owner out.",
    parts: { status: [403, 200], body: [error(/Incorrect credentials/), { handle: "ada" }] },
  },
  "password left out": {
    why: "A password that was left out is an empty one, and wrong; SillyTavern fails.",
    parts: answers(crashed, told(403, /^Incorrect credentials$/)),
  },
  "old password left out": {
    why: "A password that was left out is an empty one, and wrong; SillyTavern fails.",
    parts: answers(crashed, told(403, /^Incorrect password$/)),
  },
  "password of a reset left out": {
    why: "A password that was left out is an empty one, and wrong; SillyTavern fails.",
    parts: answers(crashed, told(400, /^Incorrect password$/)),
  },
  "password of a disabled account": {
    why: "An admin can set the password before letting somebody in again.",
    parts: answers(told(403, /User is disabled/), done),
  },
  "not oneself": {
    why: "The refusal says what can be done instead.",
    parts: { "body.error": [/^Cannot \w+ yourself$/, /Ask another admin/] },
  },
  "a code is void after five wrong ones": {
    why: "A code can be guessed at only five times, wherever the guesses come from.",
    parts: answers(done, told(403, /^Incorrect code$/)),
  },
  "discreet: disabled": {
    why: "In discreet mode nothing tells whether a handle exists.",
    parts: { "body.error": ["User is disabled", "Incorrect credentials"] },
  },
  "discreet: unknown": {
    why: "In discreet mode nothing tells whether a handle exists.",
    parts: answers(told(404, /User not found/), done),
  },
  "discreet: recovery of a disabled account": {
    why: "In discreet mode nothing tells whether a handle exists.",
    parts: answers(told(403, /User is disabled/), done),
  },
  "discreet: unknown code": {
    why: "In discreet mode nothing tells whether a handle exists.",
    parts: { status: [404, 403], body: [error(/User not found/), error(/^Incorrect code$/)] },
  },

  // Pictures
  "not a picture": {
    why: "A picture has to be one (PNG, JPEG, GIF or WebP); an SVG could carry a script.",
    parts: answers(done, told(400, /^Invalid data URL$/)),
  },
  "not a picture, afterwards": {
    why: "What is no picture does not replace one.",
    parts: { "body.avatar": [/^data:image\//, /^data:image\/gif;base64,R0l/] },
  },
  "a picture left out": {
    why: "A request without the field changes nothing and says so; SillyTavern fails.",
    parts: answers(crashed, told(400, /Missing required fields/)),
  },
  "a persona that is gone": {
    why: "When the default persona's picture is gone, the last used one stands in.",
    parts: { "body.avatar": ["/img/default-user.png", /^data:image\/png/] },
  },
  "a persona that is gone in the list": {
    why: "When the default persona's picture is gone, the last used one stands in.",
    parts: { "body.*.avatar": ["/img/default-user.png", /^data:image\/png/] },
  },

  // Backup and starting afresh
  backup: {
    why: "Caches are left out (thumbnails are made again), and a manifest with checksums is put in.",
    parts: { value: [["thumbnails/avatar/one.png"], ["tavernkeep-manifest.json"]] },
  },
  "backup of nobody": {
    why: "There is nothing to back up of an unknown account, and no path is made of what was sent; SillyTavern sends a zip.",
    parts: answers(
      { status: 200, type: "application/zip", disposition: /filename="\w+-<stamp>\.zip"/, body: "<zip>" },
      told(404, /User not found/),
    ),
  },
  "default settings": {
    why: "SillyTavern's shipped settings are its own work; ours say only that it is the first run, and the client fills in.",
    parts: { value: [/"firstRun": true,/, '{\n    "firstRun": true\n}'] },
  },
  "content of a new folder": {
    why: "SillyTavern's shipped pictures, characters and presets are not ours to give.",
    parts: { "body.avatar": [/^data:image\/png/, "/img/default-user.png"] },
  },

  // Settings
  "key order": {
    why: "Settings are kept as they were sent: keys that look like numbers stay where they are.",
    parts: { "body.settings": [/^\{\n {4}"9"/, /^\{\n {4}"b"/] },
  },
  "key order in the file": {
    why: "Settings are kept as they were sent: keys that look like numbers stay where they are.",
    parts: { value: [/^\{\n {4}"9"/, /^\{\n {4}"b"/] },
  },
  "number text": {
    why: "Settings are kept as they were sent: numbers keep every digit.",
    parts: { "body.settings": [/12345678901234567000/, /1\.0,\n +1e21,\n +-0,\n +12345678901234567890,\n +1E2,\n +0\.10/] },
  },
  "number text in the file": {
    why: "Settings are kept as they were sent: numbers keep every digit.",
    parts: { value: [/12345678901234567000/, /1\.0,\n +1e21,\n +-0,\n +12345678901234567890,\n +1E2,\n +0\.10/] },
  },
  escapes: {
    why: "Settings are kept as they were sent: a string keeps its spelling.",
    parts: { "body.settings": [/"ä\/A"/, /"\\u00e4\\\/\\u0041"/] },
  },
  "escapes in the file": {
    why: "Settings are kept as they were sent: a string keeps its spelling.",
    parts: { value: [/"ä\/A"/, /"\\u00e4\\\/\\u0041"/] },
  },
  "a key twice": {
    why: "Settings are kept as they were sent; readers take the last one, as SillyTavern does.",
    parts: { "body.settings": [/^\{\n {4}"a": 3,\n {4}"b": 2\n\}$/, /"a": 1,\n {4}"b": 2,\n {4}"a": 3/] },
  },
  "a key twice in the file": {
    why: "Settings are kept as they were sent; readers take the last one, as SillyTavern does.",
    parts: { value: [/^\{\n {4}"a": 3,\n {4}"b": 2\n\}$/, /"a": 1,\n {4}"b": 2,\n {4}"a": 3/] },
  },
  "no settings": {
    why: "Settings that are no object, or empty, would wipe what the client remembers; they are refused.",
    parts: { status: [200, 400], body: [{ result: "ok" }, error(/./)] },
  },
  "no settings in the file": {
    why: "Settings that are no object, or empty, would wipe what the client remembers; they are refused.",
    parts: { value: [/^(\{\}|\[\]|\[\n {4}1\n\]|\{\n {4}"a": "1",\n {4}"b": "2"\n\})$/, /"good": true/] },
  },
  "damaged settings": {
    why: "A damaged file is set aside and the page still opens, with the last good snapshot on offer.",
    parts: { "body.settings": ["{ damaged", '{\n    "firstRun": true\n}'] },
  },
  "missing settings": {
    why: "When the file is missing the page still opens.",
    parts: answers(crashed, { status: 200, type: JSON_, body: (body) => JSON.parse(body.settings).firstRun === true }),
  },
  "a snapshot twice": {
    why: "The same settings are not kept twice.",
    parts: { value: [snapshots("sam6", 2), snapshots("sam6", 1)] },
  },
  "two snapshots in a second": {
    why: "No snapshot overwrites another: the second one in a second gets a number.",
    parts: { value: [snapshots("sam7", 1), snapshots("sam7", 2)] },
  },
  "what a save leaves out is kept": {
    why: "A page that is stale or half loaded must not wipe what it never knew: the settings it replaces become a snapshot.",
    parts: { value: [snapshots("sam-keys", 1), snapshots("sam-keys", 2)] },
  },
  "the present is kept before a restore": {
    why: "Before a restore the present settings become a snapshot, unless there is one of them.",
    parts: { value: [snapshots("sam5", 3), snapshots("sam5", 4)] },
  },
  "no such snapshot": {
    why: "Errors are JSON; the client reads their text.",
    parts: answers({ status: 404, type: TEXT, body: "Not Found" }, told(404)),
  },
  "not the name of a snapshot": {
    why: "Errors are JSON; the client reads their text.",
    parts: answers({ status: 400, type: TEXT, body: "Bad Request" }, told(400, /^Invalid snapshot name$/)),
  },
  "a backslash in the name of a snapshot": {
    why: "A backslash is no part of a name on any system.",
    parts: answers({ status: 404, type: TEXT, body: "Not Found" }, told(400, /^Invalid snapshot name$/)),
  },
  "a damaged snapshot": {
    why: "A damaged snapshot is not brought back over good settings.",
    parts: answers(done, told(409, /damaged/)),
  },
  "a damaged snapshot, afterwards": {
    why: "A damaged snapshot is not brought back over good settings.",
    parts: { value: ["{ damaged", /^\{\n/] },
  },
};
