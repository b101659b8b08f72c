// The words that the scripts write, in the language of the page. What stands in the pages themselves is there.
export const language = document.documentElement.lang === "ja" ? "ja" : "en";

const plural = new Intl.PluralRules(language);
const and = new Intl.ListFormat(language, { type: "conjunction" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const count = (n, one, other) => `${n.toLocaleString(language)} ${plural.select(n) === "one" ? one : other}`;

const NAMES_IN_A_LINE = 5;
const isolated = (name) => `\u2068${name}\u2069`; // a name from right to left turns nothing else round

export const timeOf = (at) => clock.format(at);

const words = {
  en: {
    untitled: "Yukizuri",
    names: (names, more) => and.format(more > 0 ? [...names, count(more, "other", "others")] : names),
    joined: (names) => `${names} came in`,
    left: (names) => `${names} left`,
    both: (joined, left) => `${joined}; ${left}`,
    you: "you",
    gap: (n) => (n > 0 ? `${count(n, "message", "messages")} passed by unseen` : "Some messages may have passed by unseen"),
    newHere: "New from here",
    hidden: (n) => `${count(n, "line", "lines")} hidden`,
    show: "show",
    more: "more",
    less: "less",
    again: "Try again",
    edit: "Edit",
    notSent: (why) => `Not sent: ${why}`,
    perhapsNotSent: (why) => `Perhaps not sent: ${why}`,
    newLines: (n, hit) => `${hit ? "@ " : ""}${n.toLocaleString(language)} new ↓`,
    here: (n) => count(n, "person here", "people here"),
    elsewhere: (n) => `and ${n.toLocaleString(language)} more`,
    writing: (people) => (people.length > 3 ? "Several people are writing…" : `${and.format(people.map(isolated))} ${people.length === 1 ? "is" : "are"} writing…`),
    said: (name, text) => `${name}: ${text}`,
    summary: (n, names, more) => `${count(n, "new line", "new lines")}, from ${words.en.names(names, more)}`,
    room: (name) => `Room ${name}: menu`,
    address: (address) => `Address: ${address}`,
    sinceThen: (time) => `Seen here since ${time}`,
    ignore: "Ignore",
    heed: "Stop ignoring",
    comeInAs: (name) => `Come in as ${name}`,
    back: "Back",
    youLeft: "You left.",
    copied: "The link is copied.",
    tooLong: (over) => `Too long by ${count(over, "character", "characters")}.`,
    held: (seconds) => `Slowly: the next line goes in ${seconds} s.`,
    now: "Now",
    seconds: (n) => ` (${n} s)`,
    states: {
      connecting: "Connecting…",
      waiting: "Connection lost. Coming back",
      penalty: "Too much was sent too fast. Coming back",
      offline: "You are offline. What you write will be sent later.",
      slow: "Not delivered yet: the chat is slow to answer.",
      moving: "Moving to another server…",
      elsewhere: "This goes on in another tab.",
    },
    comeBack: "Come back here",
    until: (time) => ` (until ${time})`,
    errors: {
      bad_name: "Please choose another name: 1 to 16 visible characters.",
      name_taken: "Somebody here is called that already.",
      too_long: "That message is too long.",
      bad_message: "There is something in it that cannot be sent.",
      room_full: "This room is full; trying again.",
      banned: "You cannot come in here.",
      muted: "You cannot speak here at the moment.",
      locked: "Nobody new can come in at the moment.",
      unavailable: "The chat cannot be reached right now; trying again.",
      epoch_changed: "The server lost its data in the meantime. Send it again if nobody saw it.",
      new_id: "You came back as somebody new. Send it again if nobody saw it.",
      ended: "The operator has closed this connection.",
      left: "You left.",
    },
  },
  ja: {
    untitled: "ゆきずり",
    names: (names, more) => names.join("、") + (more > 0 ? `${names.length ? " " : ""}ほか ${more.toLocaleString(language)} 人` : ""),
    joined: (names) => `${names}が来ました`,
    left: (names) => `${names}が去りました`,
    both: (joined, left) => `${joined}。${left}`,
    you: "あなた",
    gap: (n) => (n > 0 ? `${n} 件が見えないまま過ぎました` : "いくつかの発言が見えないまま過ぎたかもしれません"),
    newHere: "ここから新しい発言",
    hidden: (n) => `${n} 件の発言を隠しています`,
    show: "見る",
    more: "続き",
    less: "閉じる",
    again: "もう一度",
    edit: "書き直す",
    notSent: (why) => `送れませんでした。${why}`,
    perhapsNotSent: (why) => `送れなかったかもしれません。${why}`,
    newLines: (n, hit) => `${hit ? "@ " : ""}新しい発言 ${n} 件 ↓`,
    here: (n) => `いま ${n} 人います`,
    elsewhere: (n) => `ほか ${n} 人`,
    writing: (people) => (people.length > 3 ? "何人かが書いています…" : `${people.map(isolated).join("、")} が書いています…`),
    said: (name, text) => `${name}、${text}`,
    summary: (n, names, more) => `新しい発言 ${n} 件、${words.ja.names(names, more)}から`,
    room: (name) => `部屋 ${name} のメニュー`,
    address: (address) => `アドレス ${address}`,
    sinceThen: (time) => `${time} からここにいます`,
    ignore: "この人を隠す",
    heed: "隠すのをやめる",
    comeInAs: (name) => `${name} として入る`,
    back: "戻る",
    youLeft: "部屋を出ました。",
    copied: "リンクをコピーしました。",
    tooLong: (over) => `${over} 文字長すぎます。`,
    held: (seconds) => `ゆっくりどうぞ。次は ${seconds} 秒後に送ります。`,
    now: "いますぐ",
    seconds: (n) => `（あと ${n} 秒）`,
    states: {
      connecting: "接続しています…",
      waiting: "接続が切れました。繋ぎ直しています",
      penalty: "短い間に送りすぎました。しばらくして戻ります",
      offline: "オフラインです。書いたものは後で送ります。",
      slow: "まだ届いていません。応答が遅れています。",
      moving: "別のサーバーへ移っています…",
      elsewhere: "この会話は別のタブで続いています。",
    },
    comeBack: "ここに戻る",
    until: (time) => `（${time} まで）`,
    errors: {
      bad_name: "別の名前にしてください（見える文字で 1〜16 文字）。",
      name_taken: "その名前の人がもう居ます。",
      too_long: "発言が長すぎます。",
      bad_message: "送れない文字が入っています。",
      room_full: "部屋がいっぱいです。もう一度試しています。",
      banned: "ここには入れません。",
      muted: "いまは話せません。",
      locked: "いまは新しく入れません。",
      unavailable: "いま繋がりません。もう一度試しています。",
      epoch_changed: "サーバーのデータが失われました。届いていなければ、もう一度送ってください。",
      new_id: "新しい人として戻りました。届いていなければ、もう一度送ってください。",
      ended: "運営者がこの接続を閉じました。",
      left: "部屋を出ました。",
    },
  },
};

export const t = words[language];

/** "a, b and 7 others", of `total` people of whom some are named. */
export function nameList(names, total = names.length) {
  const shown = names.slice(0, NAMES_IN_A_LINE);
  return t.names(shown.map(isolated), total - shown.length);
}

/** The sentence for an error of the server; its own where we have no better one. */
export function errorText({ code, message, until }) {
  const text = t.errors[code] ?? message;
  if (!until && code !== "banned") return text;
  const reason = message === words.en.errors[code] ? "" : ` ${message}`; // the operator's
  const end = until ? t.until(new Date(until).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" })) : "";
  return text + end + reason;
}
