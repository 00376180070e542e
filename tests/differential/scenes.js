// Scenes: one test each, on a pair of servers that several share.
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { endScene, newScene, normal, same } from "./compare.js";
import { Guest } from "./guests.js";
import { startOurs, startSillyTavern } from "./servers.js";

/** Both servers with one configuration; ours takes over a copy of the data folder that SillyTavern has just made. */
export class Pair {
  constructor(config) {
    this.config = config;
  }

  async open() {
    this.theirs = await startSillyTavern(this.config);
    this.ours = await startOurs(this.config, (data) => takeOver(this.theirs.data, data));
  }

  async close() {
    await Promise.all([this.theirs?.stop(), this.ours?.stop()]);
  }

  guest() {
    return new Guest(this);
  }

  /** Gives our user exactly the files that SillyTavern's has. */
  copyFolder(handle) {
    const [from, to] = [this.theirs.data, this.ours.data].map((data) => join(data, handle));
    if (!existsSync(from)) return;
    rmSync(to, { recursive: true, force: true });
    cpSync(from, to, { recursive: true });
  }

  /** Does something to both data folders. */
  onBoth(work) {
    work(this.theirs.data);
    work(this.ours.data);
  }

  /** Compares a file, byte by byte. */
  sameFile(path, differs) {
    const read = (data) => (existsSync(join(data, path)) ? readFileSync(join(data, path), "utf8") : undefined);
    const [theirs, ours] = [read(this.theirs.data), read(this.ours.data)];
    same(`the file ${path}`, theirs, ours, differs);
    return theirs;
  }

  /** Compares the names in a folder, file stamps left out. */
  sameNames(path, differs) {
    const list = (data) => (existsSync(join(data, path)) ? readdirSync(join(data, path)).map((name) => normal(name)).sort() : undefined);
    same(`the names in ${path}`, list(this.theirs.data), list(this.ours.data), differs);
  }

  /** Marks the place on both consoles from which the next codes are read. */
  mark() {
    this.theirs.mark();
    this.ours.mark();
  }

  /** What both consoles say, the first group of a pattern. */
  async hear(pattern) {
    return { theirs: await this.theirs.hear(pattern), ours: await this.ours.hear(pattern) };
  }
}

/** Copies a data folder of SillyTavern, without what is made anew. */
export function takeOver(from, to) {
  cpSync(from, to, { recursive: true, filter: (path) => !/[/\\]_(webpack|cache|uploads)$/.test(path) });
}

/** A test whose differences are gathered and told together. */
export function scene(name, play) {
  test(name, async () => {
    newScene();
    await play();
    endScene();
  });
}

/** Waits until the next second has begun: SillyTavern's snapshots are named by the second. */
export const nextSecond = () => new Promise((next) => setTimeout(next, 1020 - (Date.now() % 1000)));
