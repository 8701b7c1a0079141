// How the tester page looks: sizes, colours, motion.  SCREENSHOTS names a directory for pictures
// of it, for eyes to judge.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import {
  assertCloses,
  browserTest,
  choose,
  connect,
  logged,
  open,
  sendRandom,
  sendText,
  serve,
  state,
} from "./support.mjs";

const { SCREENSHOTS } = process.env;

const SIZES = { phone: [360, 740], tablet: [768, 1024], desktop: [1280, 860] };

/** By how many pixels the page is wider than the screen, what of it is, and how much is below it. */
function overflow() {
  const over = document.documentElement.scrollWidth - innerWidth;
  const wide = Array.from(document.querySelectorAll("body *")).filter(
    (node) => node.getBoundingClientRect().right > innerWidth + 0.5 && !node.closest("#log"),
  );
  const end = Math.max(document.body.getBoundingClientRect().height, innerHeight);
  return {
    over,
    wide: wide.map((node) => node.id || node.className || node.localName),
    below: Math.max(0, Math.round(document.documentElement.scrollHeight - end)),
  };
}

/** Texts that are in use and stand out less than 4.5 from what is behind them (WCAG 2, 1.4.3). */
function faintTexts() {
  const parse = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return { rgb: [red, green, blue], alpha };
  };
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const { rgb, alpha } = parse(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return rgb;
      if (alpha > 0) throw new Error("a ground that is half transparent");
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const node = walker.currentNode.parentElement;
    if (!text || !node.checkVisibility() || node.closest(":disabled, option")) continue;
    seen += 1;
    const style = getComputedStyle(node);
    const ink = node.closest("svg") ? style.fill : style.color;
    const [bright, dark] = [luminance(parse(ink).rgb), luminance(ground(node))].sort(
      (a, b) => b - a,
    );
    const contrast = (bright + 0.05) / (dark + 0.05);
    if (contrast < 4.5) found.push(`${text.slice(0, 30)}: ${contrast.toFixed(2)}`);
  }
  return { found, seen };
}

browserTest("the page fits and can be read, small and large, light and dark", async (t) => {
  const { origin } = await serve(t, "--compress", "--subprotocol", "superchat");
  const { page, complaints } = await open(t, origin);
  const check = async (state) => {
    for (const [size, [width, height]] of Object.entries(SIZES)) {
      await page.setViewportSize({ width, height });
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        // What follows a change of size is drawn at the frame after it.
        await page.evaluate(async () => {
          await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
          const opened = document.querySelector("#log details[open]");
          if (opened) document.getElementById("log").scrollTop = opened.offsetTop;
          scrollTo(0, 0);
        });
        const name = `${size}-${colorScheme}-${state}`;
        if (SCREENSHOTS) {
          await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
        }
        assert.deepEqual(await page.evaluate(overflow), { over: 0, wide: [], below: 0 }, name);
        const { found, seen } = await page.evaluate(faintTexts);
        assert.deepEqual(found, [], name);
        assert.ok(seen > 40, `${name}: ${seen} texts were found`);
      }
    }
  };
  if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true });
  await check("1-fresh");

  await page.fill("#subprotocols", "chat, superchat");
  await connect(page);
  await page.click("#measure");
  await page.waitForFunction(() => document.querySelectorAll("#plot .point").length === 20);
  await sendRandom(page, "3 MB");
  await logged(page, "in", "3,000,000 bytes");
  const line =
    "H\u00e9llo, \u4e16\u754c \u{1f310}: a line that is too long for its place on any screen";
  await sendText(page, `${line}, ${line}, ${line}`);
  await logged(page, "in", line);
  await choose(page, "hex");
  await page.click("#send");
  await logged(page, "in", "00 01 fe ff");
  await page.fill("#close-code", "1006");
  await page.click("#disconnect");
  await logged(page, "error", "InvalidAccessError");
  await check("2-log");

  await page.locator("#log li.in", { hasText: line }).locator("summary").click();
  await page.locator("#log .payload").waitFor();
  await check("3-hex-view");

  await page.locator("#log li.in", { hasText: line }).locator("summary").click();
  await page.locator(".codes summary").click();
  await page.fill("#close-code", "4999");
  await page.fill("#close-reason", "enough of it");
  await page.click("#disconnect");
  await assertCloses(page, 4999, "Private Use");
  await check("4-closed");
  assert.deepEqual(complaints, []);
});

browserTest("nothing moves for whoever wants it so", async (t) => {
  // It accepts connections and never says anything: the state stays CONNECTING.
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => silent.close());
  const { origin, url } = await serve(t);
  const { port } = silent.address();
  for (const [reducedMotion, count] of [
    ["no-preference", 1],
    ["reduce", 0],
  ]) {
    const { page } = await open(t, origin, { reducedMotion });
    await page.fill("#address", url.replace(/\d+\/$/, `${port}/`));
    await page.click("#connect");
    await state(page, "0 CONNECTING");
    const pulsing = await page.evaluate(
      () =>
        document.getAnimations().filter((animation) => animation.animationName === "pulse").length,
    );
    assert.equal(pulsing, count);
    await page.click("#disconnect");
    await assertCloses(page, 1006, "Abnormal Closure", { wasClean: false });
  }
});
