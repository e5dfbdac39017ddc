/** The page: makes its parts and connects them. */

import { Problem, getAbout, hasKey, isAway, setKey } from "./api.js";
import { Batch } from "./batch.js";
import { Chooser } from "./chooser.js";
import { NeedsCommand, copy } from "./commands.js";
import { setUpCompare } from "./compare.js";
import { find } from "./dom.js";
import { setUpDownloads } from "./downloads.js";
import { setUpIntake } from "./intake.js";
import { setUpLimits } from "./large.js";
import { setUpLayers } from "./layers.js";
import { setUpLegend } from "./legend.js";
import { readPlace } from "./link.js";
import { setUpMissing } from "./missing.js";
import { Painter } from "./paint.js";
import { setUpProof } from "./prove.js";
import { setUpReadout } from "./readout.js";
import { setUpResult } from "./result.js";
import { Runner, describeError } from "./run.js";
import { Session } from "./session.js";
import { showSample } from "./showcase.js";
import { setUpShortcuts } from "./shortcuts.js";
import { setUpStatus } from "./status.js";
import { setUpToolbar } from "./toolbar.js";
import { setUpValues } from "./values.js";
import { View } from "./view.js";

/** @param {Error|null} error */
function showError(error) {
  const refused = error instanceof Problem && error.status === 401;
  // Before the page has asked for a key, a refusal is not the user's error.
  find("alert").hidden = !error || (refused && !hasKey());
  find("error").textContent = error ? describeError(error) : "";
  find("error-command").hidden = !(error instanceof NeedsCommand);
  find("error-text").textContent = error instanceof NeedsCommand ? error.command : "";
  document.body.style.setProperty("--alert", `${find("alert").offsetHeight}px`);
  if (refused) askForKey();
}

/** @param {() => Promise<void>} work */
async function attempt(work) {
  try {
    showError(null);
    await work();
  } catch (error) {
    showError(error);
  }
}

function askForKey() {
  if (!find("key-form").hidden) return;
  find("key-form").hidden = false;
  find("key").focus();
}

find("alert-close").addEventListener("click", () => showError(null));
find("error-copy").addEventListener("click", () => copy(find("error-text"), find("error-copy")));

const session = new Session();
const view = new View(find("picture"));
const painter = new Painter(view, () => session.mask);
const chooser = new Chooser(() => session.noteStale(),
  (chosen) => session.setModel(chosen).catch(showError));
const runner = new Runner(session, chooser, showError);

session.addEventListener("opening", () => {
  find("opening").hidden = !session.opening;
  find("opening").textContent = session.opening && `Opening ${session.opening}…`;
});
session.addEventListener("picture", () => {
  const { picture, mask } = session;
  if (!picture || !mask) return;
  find("welcome").hidden = true;
  find("samples").hidden = find("readout").hidden = false;
  find("image-name").textContent = picture.name;
  view.show(picture, mask);
});
session.addEventListener("drawn", () => view.request());
session.addEventListener("drawing", () =>
  find("frame").setAttribute("aria-busy", String(session.isDrawing)));
/** @param {() => Promise<void>} work changes the picture or its mask */
const edit = (work) => attempt(() => session.edit(work));
const batch = new Batch(session, chooser, { attempt, edit });
const intake = setUpIntake(session, { batch, edit });
session.addEventListener("values", () => intake.showSamples().catch(showError));
setUpLimits(session, chooser, showError);
setUpToolbar(session, view, painter);
setUpReadout(session, painter);
setUpMissing(session, edit);
setUpValues(session, runner, attempt);
const legend = setUpLegend(session, view);
setUpCompare(session, view, { chooser, attempt });
setUpLayers(session, view, { legend, chooser, attempt });
setUpResult(session, { view, chooser, attempt });
setUpDownloads(session, attempt);
setUpProof(session, chooser);
setUpShortcuts();

showSample().catch(() => {}); // without it, the page says the same in words
let place = readPlace(location.hash);

/** Restore what a link was made of, once and as soon as the model is ready. */
async function restore() {
  if (!place || chooser.chosen?.state !== "ready") return;
  const { sample, model, version, layer, view: middle } = place;
  place = null;
  chooser.choose(model, version);
  await intake.openSample(sample);
  await runner.run();
  if ([...find("layer").options].some(({ value }) => value === layer)) {
    find("layer").value = layer;
    find("layer").dispatchEvent(new Event("change"));
  }
  if (middle) view.goTo(middle);
}

await attempt(async () => {
  const { samples, docs, metrics } = await getAbout();
  // Not an attempt: this runs without the user, and must not clear the error of an attempt.
  const load = async () => {
    try {
      await chooser.load();
      if (!find("key-form").hidden) showError(null);
      find("key-form").hidden = true;
      await intake.offer(samples);
      await restore();
    } catch (error) {
      // A server that is away is told of beside its name, and asked again.
      if (!isAway(error)) showError(error);
    }
  };
  find("docs").hidden = !docs;
  const look = setUpStatus({ onReady: load, onRefused: askForKey }, metrics);
  find("key-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    setKey(find("key").value);
    load();
    look();
  });
});
