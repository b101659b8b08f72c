// The box in which one writes: it grows, counts, completes names after "@", and sends.
import { $, element } from "./people.js";
import { t } from "./texts.js";

const TYPING_EVERY_MS = 3000;
const COUNTER_FROM = 0.8; // of what a text may have
const MOST_COMPLETIONS = 6;

/** While an input method composes, Enter is its own; some browsers tell only by the code. */
export const isComposing = (event) => event.isComposing || event.keyCode === 229;

export class Box {
  #box = $("text");
  #on; // { limits(), isTooLong(text), named(start), lastOwn(), onSay(text), onTyping(), onTooLong() }
  #typedAt = 0;
  #found = []; // people whose names go on as it was begun
  #chosen = 0;
  #touch = matchMedia("(pointer: coarse)"); // there is a button to send, and no Shift
  #grows = CSS.supports("field-sizing", "content");

  constructor(on) {
    this.#on = on;
    this.#touch.addEventListener("change", () => this.#setEnter());
    this.#setEnter();
    this.#box.addEventListener("input", () => this.#changed());
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    this.#box.addEventListener("blur", () => this.#close());
    // a tap on the button leaves the focus in the box, and so the phone's keyboard where it is
    $("send").addEventListener("pointerdown", (event) => event.preventDefault());
    $("say-form").addEventListener("submit", (event) => this.#send(event));
  }

  get text() {
    return this.#box.value;
  }

  /** Puts a text there, to be changed and sent. */
  put(text) {
    this.#box.value = text;
    this.#fit();
    this.count();
    if (text) this.#box.focus();
  }

  mention(name) {
    const before = this.#box.value.slice(0, this.#box.selectionStart);
    this.#box.focus();
    this.#box.setRangeText(`${before === "" || /\s$/.test(before) ? "" : " "}@${name} `, this.#box.selectionStart, this.#box.selectionEnd, "end");
    this.#changed();
  }

  /** How many characters are left, once that matters; counted as the server does. What is too long stays where it
   *  can be made shorter. */
  count() {
    const most = this.#on.limits();
    const left = most - [...this.text].length;
    const isTooLong = this.#on.isTooLong(this.text);
    $("counter").textContent = most > 0 && left < most * (1 - COUNTER_FROM) ? String(left).replace("-", "−") : "";
    $("counter").classList.toggle("over", isTooLong);
    $("too-long").textContent = isTooLong ? t.tooLong(Math.max(1, -left)) : "";
    if (isTooLong && !$("send").disabled) this.#on.onTooLong();
    $("send").disabled = isTooLong;
  }

  #setEnter() {
    this.#box.enterKeyHint = this.#touch.matches ? "enter" : "send";
  }

  #fit() {
    if (this.#grows) return;
    this.#box.style.setProperty("height", "auto");
    this.#box.style.setProperty("height", `${this.#box.scrollHeight + 2}px`);
  }

  #send(event) {
    event.preventDefault();
    const text = this.text.replace(/^(\s*\n)+/, "").trimEnd();
    if (!text || this.#on.isTooLong(text)) return;
    this.put("");
    this.#close();
    this.#on.onSay(text);
  }

  #changed() {
    this.#fit();
    this.count();
    this.#complete();
    if (Date.now() - this.#typedAt < TYPING_EVERY_MS || !this.text.trim()) return;
    this.#typedAt = Date.now();
    this.#on.onTyping();
  }

  #key(event) {
    if (isComposing(event) || this.#keyOfCompletion(event)) return;
    const { key } = event;
    const last = key === "ArrowUp" && this.text === "" ? this.#on.lastOwn() : "";
    if (key === "Enter" && !event.shiftKey && !this.#touch.matches) $("send").click();
    else if (last) this.put(last);
    else if (key === "PageUp" || key === "PageDown") $("log").scrollBy({ top: $("log").clientHeight * (key === "PageUp" ? -0.9 : 0.9) });
    else return;
    event.preventDefault();
  }

  // --- "@": whom it may mean ---

  #begun() {
    return this.text.slice(0, this.#box.selectionStart).match(/(?:^|\s)@([^\s@]{0,16})$/);
  }

  #complete() {
    const begun = this.#begun();
    this.#found = begun ? this.#on.named(begun[1]).slice(0, MOST_COMPLETIONS) : [];
    this.#chosen = 0;
    this.#draw();
  }

  #close() {
    this.#found = [];
    this.#draw();
  }

  #draw() {
    const items = this.#found.map((person, i) => {
      const item = element("li", { id: `completion-${i}`, role: "option", textContent: person.name, dir: "auto" });
      item.setAttribute("aria-selected", i === this.#chosen);
      item.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        this.#take(person);
      });
      return item;
    });
    $("completions").replaceChildren(...items);
    $("completions").hidden = items.length === 0;
    if (items.length > 0) this.#box.setAttribute("aria-activedescendant", `completion-${this.#chosen}`);
    else this.#box.removeAttribute("aria-activedescendant");
  }

  #take({ name }) {
    const end = this.#box.selectionStart;
    this.#box.setRangeText(`@${name} `, end - this.#begun()[1].length - 1, end, "end");
    this.#close();
    this.count();
  }

  /** Did the list of names take this key? */
  #keyOfCompletion(event) {
    if (this.#found.length === 0) return false;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step) {
      this.#chosen = (this.#chosen + step + this.#found.length) % this.#found.length;
      this.#draw();
    } else if (event.key === "Enter" || event.key === "Tab") {
      this.#take(this.#found[this.#chosen]);
    } else if (event.key === "Escape") {
      this.#close();
    } else {
      return false;
    }
    event.preventDefault();
    event.stopPropagation();
    return true;
  }
}
