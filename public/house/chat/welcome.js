// What stands where no chat is open yet: the ways to a first one.
import { ApiError, post, upload } from "../api.js";
import { fill, h } from "../dom.js";
import { busy, complain } from "../form.js";
import { icon } from "../icons.js";

/**
 * @param {{noModel: boolean, some: boolean, open: (character: string) => void}} page `some`: there are characters already
 */
export function welcome({ noModel, some, open }) {
  const error = h("div", { role: "alert" });
  const plain = h("button", { type: "button", class: "button primary" }, icon("chat"), "Talk to the plain assistant");
  plain.addEventListener("click", () => {
    fill(error);
    void busy(plain, async () => open((await post("/api/v1/characters/assistant")).id)).catch((reason) => complain(error, reason));
  });
  const file = h("input", { type: "file", accept: ".png,.json,.charx,image/png,application/json", hidden: true, "aria-label": "Character card" });
  const bring = h("button", { type: "button", class: "button", onclick: () => file.click() }, icon("bring"), "Bring a card in");
  file.addEventListener("change", () => {
    const [chosen] = file.files ?? [];
    if (!chosen) return;
    fill(error);
    void busy(bring, async () => {
      const made = await upload("/api/v1/characters/import", chosen, "application/octet-stream", () => {}, new AbortController().signal, {
        "X-File-Name": encodeURIComponent(chosen.name),
      });
      if (typeof made?.id !== "string") throw new ApiError(0, "unknown", "The card came in without a name.");
      open(made.id);
    }).catch((reason) => complain(error, reason));
  });
  return h(
    "div",
    { class: "stage-empty" },
    h("img", { class: "stage-lantern", src: "/house/lantern.svg", alt: "", width: 56, height: 80 }),
    h("h1", null, "Pull up a chair"),
    h("p", { class: "lead" }, some ? "Pick somebody from the list, or begin with the plain assistant." : "Nobody sits here yet. Begin with the plain assistant, or bring a character in."),
    h("div", { class: "actions" }, plain, some ? h("a", { class: "button", href: "/characters" }, icon("cards"), "Pick a character") : bring, some && bring, file),
    error,
    noModel &&
      h(
        "p",
        { class: "state open" },
        icon("plug"),
        h(
          "span",
          null,
          "No model is connected yet. ",
          h("a", { href: "/connections" }, "Connect one"),
          ", or just begin: the echo says back what you write, so you can try everything.",
        ),
      ),
  );
}
