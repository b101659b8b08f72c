// The page's words, Japanese and English.
const words = {
  en: {
    title: "Yukizuri",
    tagline: "A chat for people who happen to meet.",
    nickname: "Your name here",
    enter: "Come in",
    nothingKept: "No account. What is said is forgotten within minutes.",
    leave: "Leave",
    send: "Send",
    people: "Here now",
    newMessages: "New messages ↓",
    placeholder: "Say something",
    connecting: "Connecting…",
    waiting: (seconds) => `Connection lost. Trying again in ${seconds} s…`,
    connected: "",
    moving: "Moving to another server…",
    joined: (names) => `${names} came in`,
    left: (names) => `${names} left`,
    others: (n) => `${n} others`,
    and: (list) => list.join(", "),
    gap: (n) => (n > 0 ? `${n} ${n === 1 ? "message" : "messages"} passed by unseen` : "Some messages may have passed by unseen"),
    typing: (names) => `${names} …`,
    more: (n) => `and ${n} more`,
    resumedElsewhere: "This conversation goes on in another tab.",
    ended: "The operator has closed this connection.",
    returnHere: "Come back here",
    notSent: "not sent",
    perhapsNotSent: "perhaps not sent",
    errors: {
      bad_name: "Please choose another name: 1 to 16 characters that can be seen.",
      name_taken: (s) => `Somebody here is called that already.${s ? ` How about ${s}?` : ""}`,
      too_long: "That message is too long.",
      too_fast: "That was too fast; it will be sent in a moment.",
      room_full: "This room is full. Please try again later.",
      banned: "You cannot come in here.",
      muted: "You cannot speak here at the moment.",
      unavailable: "The chat cannot be reached right now; trying again.",
      epoch_changed: "The chat lost its memory meanwhile. Please send it again if nobody saw it.",
    },
  },
  ja: {
    title: "ゆきずり",
    tagline: "行きずりの人と話す場所。",
    nickname: "ここでの名前",
    enter: "入る",
    nothingKept: "登録はありません。話したことは数分で忘れられます。",
    leave: "出る",
    send: "送る",
    people: "いま居る人",
    newMessages: "新しい発言 ↓",
    placeholder: "話しかける",
    connecting: "接続しています…",
    waiting: (seconds) => `接続が切れました。${seconds} 秒後に繋ぎ直します…`,
    connected: "",
    moving: "別のサーバーへ移っています…",
    joined: (names) => `${names} が来ました`,
    left: (names) => `${names} が去りました`,
    others: (n) => `ほか ${n} 人`,
    and: (list) => list.join("、"),
    gap: (n) => (n > 0 ? `${n} 件が見えないまま過ぎました` : "いくつかの発言が見えないまま過ぎたかもしれません"),
    typing: (names) => `${names} …`,
    more: (n) => `ほか ${n} 人`,
    resumedElsewhere: "この会話は別のタブで続いています。",
    ended: "運営者がこの接続を閉じました。",
    returnHere: "ここに戻る",
    notSent: "送れませんでした",
    perhapsNotSent: "送れなかったかもしれません",
    errors: {
      bad_name: "別の名前にしてください（見える文字で 1〜16 文字）。",
      name_taken: (s) => `その名前の人がもう居ます。${s ? `「${s}」はどうですか。` : ""}`,
      too_long: "発言が長すぎます。",
      too_fast: "早すぎます。少し後に送ります。",
      room_full: "部屋がいっぱいです。後でもう一度どうぞ。",
      banned: "ここには入れません。",
      muted: "いまは話せません。",
      unavailable: "いま繋がりません。もう一度試しています。",
      epoch_changed: "サーバーの記憶が失われました。届いていなければ、もう一度送ってください。",
    },
  },
};

const wanted = (navigator.languages ?? [navigator.language]).find((l) => /^(ja|en)\b/.test(l)) ?? "en";
export const language = wanted.slice(0, 2);
export const t = words[language];

/** The sentence for an error of the server; its own when we have no better one. */
export function errorText(error) {
  const text = t.errors[error.code];
  if (typeof text === "function") return text(error.suggestion);
  return text ?? error.message;
}
