// Where the two are meant to differ. Each entry says why, and which parts of the answer differ and how:
// part: [SillyTavern's value, ours], each a value, a pattern or a function. A part that does not differ fails the run, and
// so does an entry that nothing meets.
export const differences = {};
