// Render avatars of one DiceBear style as raw RGB, 64x64, one after the other.
//
//   node render.mjs STYLE SPLIT COUNT FILE      e.g. node render.mjs personas train 40000 build/personas.rgb
//
// The i-th image has the seed "STYLE-SPLIT-i"; it depends on nothing else, so a longer file begins with the shorter one.
import { createAvatar } from "@dicebear/core";
import { Resvg } from "@resvg/resvg-js";
import { closeSync, openSync, writeSync } from "node:fs";

const SIZE = 64;
const BACKGROUNDS = ["b6e3f4", "c0aede", "d1d4f9", "ffd5dc", "ffdfbf"];

const [style, split, count, file] = process.argv.slice(2);
if (!file) {
  console.error("usage: node render.mjs STYLE SPLIT COUNT FILE");
  process.exit(2);
}
const collection = await import(`@dicebear/${style}`);

const out = openSync(file, "w");
for (let i = 0; i < Number(count); i++) {
  const svg = createAvatar(collection, { seed: `${style}-${split}-${i}`, backgroundColor: BACKGROUNDS }).toString();
  const rgba = new Resvg(svg, { fitTo: { mode: "width", value: SIZE } }).render().pixels;
  const rgb = Buffer.alloc(SIZE * SIZE * 3);
  for (let p = 0; p < SIZE * SIZE; p++) rgba.copy(rgb, 3 * p, 4 * p, 4 * p + 3); // the background leaves nothing transparent
  writeSync(out, rgb);
}
closeSync(out);
