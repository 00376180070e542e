// On the page for when nobody answers: goes back to where one wanted to be as soon as somebody does.
const again = () => location.reload();
document.querySelector("#again")?.addEventListener("click", again);
addEventListener("online", () => void knock());

/** Asks softly whether the house is there; the worker keeps no answer to that. */
async function knock() {
  const answer = await fetch("/api/v1/house", { cache: "no-store" }).catch(() => null);
  if (answer?.ok) again();
}

setInterval(() => {
  if (navigator.onLine && document.visibilityState === "visible") void knock();
}, 3000);
