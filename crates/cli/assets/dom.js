// What the other modules share: elements, numbers in words, and drawing once a frame.

export const $ = (id) => document.getElementById(id);

/** An element with classes and children, each a node or a text. */
export function element(name, className = "", ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** Writes a text only when it changes, so that a screen reader does not repeat it. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const GROUPED = new Intl.NumberFormat("en");

export function grouped(count) {
  return GROUPED.format(count);
}

export function bytes(count) {
  return count === 1 ? "1 byte" : `${grouped(count)} bytes`;
}

/** Milliseconds with three figures: `0.42 ms`, `12.3 ms`, `123 ms`, `1.23 s`. */
export function milliseconds(time) {
  if (time >= 1000) return `${(time / 1000).toFixed(2)} s`;
  return `${time.toFixed(time < 10 ? 2 : time < 100 ? 1 : 0)} ms`;
}

/** A function that has `draw` run at the next animation frame, once however often it is called. */
export function onNextFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}
