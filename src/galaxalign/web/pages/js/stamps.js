// The stamps of the sketch pad, in the style of the symbols: light on black, a disc has a radius of about 1.

const grey = (value) => {
  const level = Math.round(255 * value).toString(16).padStart(2, "0");
  return `#${level}${level}${level}`;
};

const path = (points, closed = true) => `M${points.map(([x, y]) => `${x.toFixed(3)} ${y.toFixed(3)}`).join("L")}${closed ? "Z" : ""}`;
const circle = (steps) => Array.from({ length: steps }, (_, k) => (2 * Math.PI * k) / steps);

/** A stroke with a width that tapers towards its end, as an outline. */
function brush(line, width, taper = 0) {
  const left = [];
  const right = [];
  line.forEach(([x, y], k) => {
    const [ax, ay] = line[Math.max(k - 1, 0)];
    const [bx, by] = line[Math.min(k + 1, line.length - 1)];
    const long = Math.hypot(bx - ax, by - ay) || 1;
    const half = (width / 2) * (1 - (taper * k) / (line.length - 1));
    left.push([x - ((by - ay) / long) * half, y + ((bx - ax) / long) * half]);
    right.unshift([x + ((by - ay) / long) * half, y - ((bx - ax) / long) * half]);
  });
  return path([...left, ...right]);
}

function arm() {
  const [start, end, pitch] = [0.2, 0.92, Math.tan((26 * Math.PI) / 180)];
  const turn = Math.log(end / start) / pitch;
  const line = Array.from({ length: 48 }, (_, k) => {
    const along = (turn * k) / 47;
    const radius = start * Math.exp(pitch * along);
    return [radius * Math.cos(along), radius * Math.sin(along)];
  });
  return brush(line, 0.11, 0.45);
}

function edgeOn() {
  const disc = circle(64).map((angle) => [1.1 * Math.cos(angle), 0.11 * Math.sin(angle) * Math.abs(Math.sin(angle)) ** 0.6]);
  return [
    { d: path(disc), fill: grey(0.62), stroke: grey(0.85), "stroke-width": 0.027 },
    { d: path(circle(48).map((angle) => [0.2 * Math.cos(angle), 0.17 * Math.sin(angle)])), fill: grey(1) },
    { d: brush([[-0.95, 0], [0, 0], [0.95, 0]], 0.022), fill: grey(0.95) },
  ];
}

function body(size, q) {
  return [
    { d: path(circle(48).map((angle) => [size * Math.cos(angle), size * q * Math.sin(angle)])), fill: grey(0.42), stroke: grey(0.65), "stroke-width": 0.03 },
    { d: path(circle(32).map((angle) => [0.34 * size * Math.cos(angle), 0.34 * size * Math.max(q, 0.7) * Math.sin(angle)])), fill: grey(1) },
  ];
}

function secondGalaxy() {
  const tail = Array.from({ length: 30 }, (_, k) => {
    const t = (1.8 * k) / 29;
    return [0.15 + 0.5 * Math.sin(t), -0.14 - 0.45 * (1 - Math.cos(t))];
  });
  return [{ d: brush(tail, 0.13, 0.75), fill: grey(0.7) }, ...body(0.42, 0.65)];
}

/** Name, marks (attributes of SVG paths), and how a new one is put down. */
export const STAMPS = [
  { name: "bulge", marks: () => [{ d: path(circle(48).map((a) => [0.22 * Math.cos(a), 0.22 * Math.sin(a)])), fill: grey(1) }] },
  { name: "bar", marks: () => [{ d: brush([[-0.45, 0], [0, 0], [0.45, 0]], 0.16), fill: grey(1) }], turn: -25 },
  { name: "arm", marks: () => [{ d: arm(), fill: grey(0.92) }], next: 180 },
  { name: "ring", marks: () => [{ d: path(circle(64).map((a) => [0.85 * Math.cos(a), 0.85 * Math.sin(a)])), fill: "none", stroke: grey(0.9), "stroke-width": 0.08 }] },
  { name: "disc", marks: () => [{ d: path(circle(64).map((a) => [0.95 * Math.cos(a), 0.95 * Math.sin(a)])), fill: grey(0.3) }] },
  { name: "second galaxy", marks: secondGalaxy, place: [0.32, 0], next: 180 },
  { name: "edge-on disc", marks: edgeOn, turn: -25 },
];
