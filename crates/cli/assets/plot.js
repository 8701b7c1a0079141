// A line of round-trip times, drawn as SVG.

const NAMESPACE = "http://www.w3.org/2000/svg";
const LEFT = 58;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 10;

function shape(name, attributes, text = "") {
  const node = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

/** `0.1 ms`, `10 ms`, `1 s`. */
function tick(value) {
  return value < 1000 ? `${Number(value.toPrecision(1))} ms` : `${value / 1000} s`;
}

/**
 * Draws `samples`, in milliseconds, the newest at the right; `room` is how many there may be.
 *
 * The scale is logarithmic, so that the echo of one large message leaves the others apart.
 */
export function drawPlot(svg, samples, median, room) {
  const { width, height } = svg.getBoundingClientRect();
  if (width === 0 || height === 0) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  // A clock that is coarse, as browsers' are on purpose, may tell 0.
  const exponent = (value) => Math.log10(Math.max(value, 0.01));
  const exponents = samples.length > 0 ? samples.map(exponent) : [0];
  const bottom = Math.floor(Math.min(...exponents));
  const top = Math.max(Math.ceil(Math.max(...exponents)), bottom + 1);
  const x = (index) =>
    LEFT + ((width - LEFT - RIGHT) * (room - samples.length + index)) / (room - 1);
  const y = (power) =>
    height - BOTTOM - ((height - TOP - BOTTOM) * (power - bottom)) / (top - bottom);
  const across = { x1: LEFT, x2: width - RIGHT };

  const drawn = [];
  for (let power = bottom; power <= top; power += 1) {
    drawn.push(
      shape("line", { class: "grid", ...across, y1: y(power), y2: y(power) }),
      shape("text", { class: "tick", x: LEFT - 6, y: y(power) + 4 }, tick(10 ** power)),
    );
  }
  if (samples.length > 0) {
    const points = exponents.map((power, index) => [x(index), y(power)]);
    const middle = y(exponent(median));
    drawn.push(
      shape("line", { class: "median", ...across, y1: middle, y2: middle }),
      shape("polyline", { class: "line", points: points.join(" ") }),
      ...points.map(([cx, cy]) => shape("circle", { class: "point", cx, cy, r: 2 })),
    );
    drawn.at(-1).setAttribute("r", 4);
  }
  svg.replaceChildren(...drawn);
}
