// Crops a picture in the page: drag, wheel, pinch or keys move and enlarge it; out comes a PNG
// of 512 by 512, or of another size where that is asked for.
import { h } from "./dom.js";
import { askDialog } from "./dialog.js";
import { Refusal } from "./form.js";

const SIDE = 512;
const MOST = 6;

/** The form of pictures on cards: two to three, upright. */
export const CARD_PICTURE = { width: 512, height: 768 };

/**
 * @param {File} file
 * @param {HTMLElement} opener gets the focus back
 * @param {(png: Blob) => Promise<void>} save
 * @param {{width: number, height: number}} [form] of the PNG that comes out
 */
export async function cropPicture(file, opener, save, { width, height } = { width: SIDE, height: SIDE }) {
  const image = await createImageBitmap(file).catch(() => {
    throw new Refusal(`${file.name} cannot be read as a picture. PNG, JPEG, WebP and GIF work.`);
  });
  opener.focus();
  const canvas = h("canvas", {
    class: height > width ? "crop tall" : "crop",
    width,
    height,
    tabindex: "0",
    role: "application",
    "aria-label": "The picture in its frame. Arrow keys move it, plus and minus change its size.",
  });
  const view = new View(canvas, image);
  const zoom = h("input", {
    type: "range",
    min: "1",
    max: String(MOST),
    step: "0.01",
    value: "1",
    "aria-label": "Size",
  });
  zoom.addEventListener("input", () => view.zoomTo(Number(zoom.value)));
  view.onZoom = (value) => (zoom.value = String(value));
  askDialog({
    title: "Fit your picture",
    body: [
      h("div", { class: "crop-frame" }, canvas),
      h("label", { class: "crop-zoom" }, h("span", null, "Size"), zoom),
      h(
        "p",
        { class: "hint" },
        "Drag the picture, or use the arrow keys; the wheel, two fingers or + and − change its size.",
      ),
    ],
    submit: "Use this picture",
    run: async () => save(await view.png()),
  });
  canvas.focus();
}

/** What part of the image is seen: `x`, `y` is the point of the image in the middle, `scale` canvas pixels per image pixel. */
class View {
  /** @param {HTMLCanvasElement} canvas @param {ImageBitmap} image */
  constructor(canvas, image) {
    this.canvas = canvas;
    this.image = image;
    this.least = Math.max(canvas.width / image.width, canvas.height / image.height);
    this.scale = this.least;
    this.x = image.width / 2;
    this.y = image.height / 2;
    /** @type {(zoom: number) => void} */
    this.onZoom = () => {};
    /** @type {Map<number, {x: number, y: number}>} */
    this.fingers = new Map();
    this.listen();
    this.draw();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    });
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(end, (event) => this.fingers.delete(event.pointerId));
    }
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoomTo((this.scale / this.least) * Math.exp(-event.deltaY / 500));
      },
      { passive: false },
    );
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /** @param {PointerEvent} event */
  drag(event) {
    const was = this.fingers.get(event.pointerId);
    if (!was) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    this.fingers.set(event.pointerId, now);
    const perPixel = this.canvas.width / this.canvas.getBoundingClientRect().width;
    if (other) {
      const before = Math.hypot(was.x - other.x, was.y - other.y);
      const after = Math.hypot(now.x - other.x, now.y - other.y);
      if (before > 0) this.zoomTo((this.scale / this.least) * (after / before));
    }
    const share = other ? 0.5 : 1;
    this.move(((was.x - now.x) * perPixel * share) / this.scale, ((was.y - now.y) * perPixel * share) / this.scale);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = (event.shiftKey ? 64 : 16) / this.scale;
    const zoom = this.scale / this.least;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => this.move(step, 0),
      ArrowRight: () => this.move(-step, 0),
      ArrowUp: () => this.move(0, step),
      ArrowDown: () => this.move(0, -step),
      "+": () => this.zoomTo(zoom * 1.1),
      "=": () => this.zoomTo(zoom * 1.1),
      "-": () => this.zoomTo(zoom / 1.1),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /** @param {number} zoom 1 is as small as fits */
  zoomTo(zoom) {
    const kept = Math.min(MOST, Math.max(1, zoom));
    this.scale = this.least * kept;
    this.move(0, 0);
    this.onZoom(kept);
  }

  /** @param {number} dx @param {number} dy in pixels of the image */
  move(dx, dy) {
    const wide = this.canvas.width / 2 / this.scale;
    const high = this.canvas.height / 2 / this.scale;
    this.x = Math.min(this.image.width - wide, Math.max(wide, this.x + dx));
    this.y = Math.min(this.image.height - high, Math.max(high, this.y + dy));
    this.draw();
  }

  draw() {
    const context = this.canvas.getContext("2d");
    if (!context) return;
    const { width, height } = this.canvas;
    const wide = width / this.scale;
    const high = height / this.scale;
    context.imageSmoothingQuality = "high";
    context.clearRect(0, 0, width, height);
    context.drawImage(this.image, this.x - wide / 2, this.y - high / 2, wide, high, 0, 0, width, height);
  }

  /** @returns {Promise<Blob>} */
  png() {
    return new Promise((resolve, reject) => {
      this.canvas.toBlob(
        (blob) => (blob ? resolve(blob) : reject(new Refusal("This browser could not make a PNG of it."))),
        "image/png",
      );
    });
  }
}
