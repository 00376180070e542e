// A portrait with the ways to change it: choose a file, crop it in the page, or take it down.
import { del, put } from "./api.js";
import { cropPicture } from "./cropper.js";
import { fill, h } from "./dom.js";
import { busy, complain } from "./form.js";
import { portrait } from "./frame.js";
import { icon } from "./icons.js";
import { say } from "./messages.js";

/**
 * A picture with the ways to change and remove it.
 * @param {string} avatar @param {boolean} own @param {string} path where it is put and deleted
 * @param {(avatar: string) => void} [onChanged]
 * @param {{form?: {width: number, height: number}, put?: (png: Blob) => Promise<{avatar: string}>}} [options] `form`: the
 *   size that it is cropped to; `put`: how it is sent, where that is more than a `PUT` to `path`
 */
export function pictureEditor(avatar, own, path, onChanged, { form, put: send = (png) => put(path, png) } = {}) {
  const image = portrait(avatar, "huge");
  const error = h("div", { role: "alert" });
  const file = h("input", {
    type: "file",
    accept: "image/png,image/jpeg,image/webp,image/gif",
    class: "unseen",
    tabindex: "-1",
    "aria-label": "Picture file",
  });
  const choose = h(
    "button",
    { type: "button", class: "button", onclick: () => file.click() },
    icon("camera"),
    "New picture",
  );
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
    const save = async (/** @type {Blob} */ png) => {
      const answer = await send(png);
      now(answer.avatar, own || !form);
      say("The picture is hung.");
    };
    cropPicture(chosen, choose, save, form).catch((reason) => complain(error, reason));
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
