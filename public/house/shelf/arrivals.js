// Files on their way in: chosen or dropped, several at once, each with how far it is and what went wrong with it.
import { ApiError, upload } from "../api.js";
import { fill, h } from "../dom.js";
import { count, size } from "../format.js";
import { icon } from "../icons.js";
import { explain, say } from "../messages.js";
import { button } from "./parts.js";

/** So many are sent at the same time. */
const AT_ONCE = 2;

/**
 * @typedef {object} Way
 * @property {string} path where a file is sent
 * @property {[one: string, many: string]} what they become
 * @property {(answer: any) => string} href of what one has become
 * @property {(answer: any) => string} name of it
 * @property {() => void} done
 */

/** A button that lets one choose files. @param {import("../dom.js").Child[]} words @param {string} accept
 * @param {(files: File[]) => void} take @param {string} [kind] */
export function fileButton(words, accept, take, kind = "") {
  const file = h("input", {
    type: "file",
    accept,
    multiple: true,
    hidden: true,
    "aria-label": "Files to bring in",
  });
  file.addEventListener("change", () => {
    const files = [...(file.files ?? [])];
    file.value = "";
    if (files.length > 0) take(files);
  });
  const press = button(words, () => file.click(), kind);
  return h("span", { class: "file-button" }, press, file);
}

/** Takes files that are dropped anywhere on the page. @param {HTMLElement} place @param {string} words @param {(files: File[]) => void} take */
export function dropAnywhere(place, words, take) {
  const sign = h("div", { class: "drop-here", hidden: true }, icon("bring"), h("span", null, words));
  document.body.append(sign);
  const carries = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  let inside = 0;
  addEventListener("dragenter", (event) => {
    if (!carries(event) || !place.isConnected) return;
    inside += 1;
    sign.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!carries(event)) return;
    inside = Math.max(0, inside - 1);
    if (inside === 0) sign.hidden = true;
  });
  addEventListener("dragover", (event) => {
    if (carries(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    inside = 0;
    sign.hidden = true;
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length > 0) take(files);
  });
}

/**
 * Brings files in and shows each one's fate.
 * @param {HTMLElement} place @param {File[]} files @param {Way} way
 */
export function arrivals(place, files, way) {
  const stop = new AbortController();
  const words = h("p", { role: "status" });
  const list = h("ul", { class: "rows" });
  const end = button("Stop", () => stop.abort());
  const shut = button("Close", () => fill(place));
  shut.hidden = true;
  const rows = files.map((file) => arrival(file, way, stop.signal));
  let came = 0;
  let failed = 0;
  const tell = () => {
    const left = files.length - came - failed;
    fill(
      words,
      left > 0
        ? `${came + failed} of ${count(files.length, "file")}…`
        : `${count(came, ...way.what)} came in${failed ? `, ${count(failed, "file")} did not` : ""}.`,
    );
  };
  tell();
  fill(
    list,
    rows.map((row) => row.root),
  );
  fill(
    place,
    h(
      "section",
      { class: "sheet arrivals", "aria-label": "Files on their way in" },
      words,
      list,
      h("div", { class: "actions" }, end, shut),
    ),
  );
  const queue = [...rows];
  const worker = async () => {
    for (let row = queue.shift(); row; row = queue.shift()) {
      if (await row.send()) came += 1;
      else failed += 1;
      tell();
    }
  };
  void Promise.all(Array.from({ length: AT_ONCE }, worker)).then(() => {
    end.hidden = true;
    shut.hidden = false;
    if (failed === 0) {
      fill(place);
      say(`${count(came, ...way.what)} came in.`, oneDoor(rows, way));
    }
    if (came > 0) way.done();
  });
}

/** With a single newcomer, the way to it. @param {ReturnType<typeof arrival>[]} rows @param {Way} way */
function oneDoor(rows, way) {
  const answer = rows.length === 1 ? rows[0]?.answer() : null;
  return answer ? h("a", { href: way.href(answer) }, "Look") : undefined;
}

/** One file's row. @param {File} file @param {Way} way @param {AbortSignal} stop */
function arrival(file, way, stop) {
  const bar = h("progress", { max: "1", value: 0, "aria-label": file.name });
  const state = h("span", { class: "hint" }, size(file.size));
  const mark = h("span", null, icon("bring"));
  const root = h(
    "li",
    null,
    mark,
    h("div", { class: "row-words" }, h("strong", { dir: "auto" }, file.name), state),
    bar,
  );
  /** @type {any} */
  let came = null;
  const send = async () => {
    try {
      if (stop.aborted) throw new ApiError(0, "stopped", "Stopped before it was sent.");
      came = await upload(
        way.path,
        file,
        file.type || "application/octet-stream",
        (done, total) => (bar.value = total ? done / total : 0),
        stop,
        {
          "X-File-Name": encodeURIComponent(file.name),
        },
      );
      fill(mark, icon("check"));
      fill(state, "is ", h("a", { href: way.href(came) }, way.name(came)), " now");
      return true;
    } catch (reason) {
      const { title, text } = explain(reason);
      fill(mark, icon("warn", "failed"));
      state.textContent = `${title} ${text}`.trim();
      return false;
    } finally {
      bar.remove();
    }
  };
  return { root, send, answer: () => came };
}
