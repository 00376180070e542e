// Account, "Profile": the display name and the picture.
import { patch } from "./api.js";
import { fill, h } from "./dom.js";
import { field, form, refuse } from "./form.js";
import { fullDate } from "./format.js";
import { defineSection, roleName } from "./frame.js";
import { say } from "./messages.js";
import { pictureEditor } from "./picture.js";

/** @import {Me} from "./types.js" */

defineSection("tk-profile", accountProfile);

/** @param {HTMLElement} place @param {Me} me */
function accountProfile(place, me) {
  const picture = pictureEditor(me.avatar, me.ownAvatar, "/api/v1/me/avatar");
  const name = field("Display name", { value: me.name, maxlength: "100", autocomplete: "nickname", required: true });
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
        h(
          "dl",
          { class: "facts" },
          h("dt", null, "Handle"),
          h("dd", null, h("code", null, me.handle)),
          h("dt", null, "Role"),
          h("dd", null, roleName(me.role)),
          h("dt", null, "Here since"),
          h("dd", null, fullDate(me.created)),
        ),
      ),
    ),
  );
}
