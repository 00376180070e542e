// Account, "Profile": the display name and the picture.
import { del, patch, put } from "./api.js";
import { cropPicture } from "./cropper.js";
import { fill, h } from "./dom.js";
import { busy, complain, field, form, refuse } from "./form.js";
import { fullDate } from "./format.js";
import { portrait, roleName } from "./frame.js";
import { icon } from "./icons.js";
import { say } from "./messages.js";

/** @import {Me} from "./types.js" */

/** @param {HTMLElement} place @param {Me} me */
export function accountProfile(place, me) {
  const picture = pictureEditor(me.avatar, me.ownAvatar, "/api/v1/me/avatar");
  const name = field("Display name", { value: me.name, maxlength: "64", autocomplete: "nickname", required: true });
  const made = form({
    body: [name.root],
    submit: "Save name",
    run: async () => {
      const wanted = name.input.value.trim();
      if (!wanted) refuse(name, "A name needs at least one letter.");
      const now = await patch("/api/v1/me", { name: wanted });
      me.name = now.name;
      name.input.value = now.name;
      say("Your name is saved.");
    },
  });
  fill(
    place,
    h(
      "div",
      { class: "profile" },
      picture,
      h(
        "div",
        null,
        made.root,
        h("dl", { class: "facts" }, h("dt", null, "Handle"), h("dd", null, h("code", null, me.handle)), h("dt", null, "Role"), h("dd", null, roleName(me.role)), h("dt", null, "Here since"), h("dd", null, fullDate(me.created))),
      ),
    ),
  );
}

/**
 * A picture with the ways to change and remove it.
 * @param {string} avatar @param {boolean} own @param {string} path where it is put and deleted
 * @param {(avatar: string) => void} [onChanged]
 */
export function pictureEditor(avatar, own, path, onChanged) {
  const image = portrait(avatar, "huge");
  const error = h("div", { role: "alert" });
  const file = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp,image/gif", class: "unseen", tabindex: "-1", "aria-label": "Picture file" });
  const choose = h("button", { type: "button", class: "button", onclick: () => file.click() }, icon("camera"), "Choose a picture");
  const remove = h("button", { type: "button", class: "button", hidden: !own }, "Remove");

  /** @param {string} src @param {boolean} isOwn */
  const now = (src, isOwn) => {
    image.src = src;
    remove.hidden = !isOwn;
    onChanged?.(src);
  };
  file.addEventListener("change", () => {
    const chosen = file.files?.[0];
    file.value = "";
    fill(error);
    if (!chosen) return;
    cropPicture(chosen, choose, async (png) => {
      const answer = await put(path, png);
      now(answer.avatar, true);
      say("The picture is hung.");
    }).catch((reason) => complain(error, reason));
  });
  remove.addEventListener("click", () => {
    void busy(remove, async () => {
      const answer = await del(path);
      now(answer.avatar, false);
      choose.focus();
      say("The picture is taken down.");
    }).catch((reason) => complain(error, reason));
  });
  return h("div", { class: "picture" }, image, h("div", { class: "actions" }, choose, remove, file), error);
}
