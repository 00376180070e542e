// Account, "Download a backup": one press, one zip.
import { fill, h } from "./dom.js";
import { runBackup, secretsWarning } from "./backup-run.js";
import { form, tick } from "./form.js";
import { defineSection } from "./frame.js";

defineSection("tk-backup", accountBackup);

/** @param {HTMLElement} place */
function accountBackup(place) {
  const progress = h("div", null);
  const secrets = tick("Put my secrets in too (keys of model providers)");
  const warning = h("p", { class: "warning", hidden: true }, secretsWarning);
  secrets.input.addEventListener("change", () => (warning.hidden = !secrets.input.checked));
  const made = form({
    body: [secrets.root, warning],
    submit: "Download my backup",
    run: () => runBackup("/api/v1/me/backups", secrets.input.checked, progress),
  });
  fill(place, made.root, progress);
}
