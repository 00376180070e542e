// How the chat page looks: at phone and desktop width, by day and by lamplight.
import { after, test } from "node:test";
import { checkAccess, checkWidth, closeBrowser, shot } from "./house.js";
import { atTheInn, field, meet, quiet, said, say } from "./inn.js";

after(closeBrowser);

for (const width of [360, 1280]) {
  for (const dark of [false, true]) {
    const look = `${width < 600 ? "phone" : "desktop"}-${dark ? "dark" : "light"}`;
    test(`the chat page, ${look}`, async (t) => {
      const { page, model } = await atTheInn(t, { width, dark });
      /** @param {string} name */
      const check = async (name) => {
        await checkWidth(page, name);
        await checkAccess(page, `${name} ${look}`);
        await shot(page, `${name}-${look}`);
      };
      await page.getByRole("heading", { name: "Pull up a chair" }).waitFor();
      await check("chat-welcome");
      if (width < 600) {
        await page.getByRole("button", { name: "Chats and characters" }).click();
        await page.getByLabel("Search chats and characters").waitFor();
        await page.waitForTimeout(300);
        await check("chat-side");
      }
      await meet(page);
      model.says({
        thinking: "She would be kind, and a little nosy. ",
        text:
          "*Mirabel hangs your coat by the fire, where it begins to steam.*\n\n\"You have walked the old road,\" she says. \"Nobody walks the old road.\" " +
          "*She sets down a bowl.*\n\n| Tonight | Price |\n|---|--:|\n| Stew | 2 |\n| A bed | 5 |\n\n```python\ndef open_door(guest):\n    # everyone is welcome\n    return f\"Come in, {guest}!\"\n```",
        pace: 1,
      });
      await say(page, "I came over the hills. Is there *anything* left to eat?");
      await quiet(page);
      await check("chat");
      await page.getByRole("button", { name: "More of this chat" }).click();
      await check("chat-menu");
      await page.getByRole("button", { name: "Show the prompt…" }).click();
      await page.locator(".prompt-parts li").first().waitFor();
      await check("chat-prompt");
      await page.keyboard.press("Escape");
      await field(page).press("ArrowUp");
      await check("chat-edit");
      await page.locator("textarea.edit").press("Escape");
      model.says({ text: "\"Stay as long as you like. The rain", holdAt: 6 });
      await say(page, "Thank you.");
      await said(page, "Stay as long as you").waitFor();
      await check("chat-live");
      model.letGo();
      await quiet(page);
    });
  }
}
