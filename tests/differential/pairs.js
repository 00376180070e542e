// The pair with accounts on and no limits, which most scenes share.
import { after, test } from "node:test";
import { NO_LIMITS } from "./servers.js";
import { Pair } from "./scenes.js";

export const pair = new Pair({ enableUserAccounts: true, ...NO_LIMITS });
after(() => pair.close());
test("open two houses with accounts", () => pair.open());

/** Signs default-user in, who is an admin without a password. */
export async function asAdmin() {
  const admin = pair.guest();
  await admin.signIn("default-user");
  return admin;
}

/** Makes an account on both, with equal folders, and signs it in. */
export async function newcomer(handle, { name = handle, password = "" } = {}) {
  const admin = await asAdmin();
  await admin.post("/api/users/create", { handle, name, ...(password && { password }) });
  pair.copyFolder(handle);
  const guest = pair.guest();
  await guest.signIn(handle, password);
  return guest;
}
