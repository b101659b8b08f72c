// What is kept, in sentences: written from the settings that the server tells (/api/about).
const language = document.documentElement.lang;

const span = (seconds) => {
  const [unit, size] = seconds % 3600 === 0 && seconds > 0 ? ["hour", 3600] : seconds % 60 === 0 && seconds > 0 ? ["minute", 60] : ["second", 1];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(seconds / size);
};
const number = (n) => n.toLocaleString(language);

const words = {
  en: {
    retention: ({ retention, retention_messages: most }) => (retention > 0 ? `It is kept for ${span(retention)}, at most ${number(most)} lines of each room, so that whoever loses the connection misses nothing. When the last one leaves a room it may stay as long again. Then it is forgotten.` : "It is passed on and not kept: whoever loses the connection misses what is said meanwhile."),
    disk: { yes: "The store of the chat (Redis) writes to disk: whatever this page says is in it may stay there for longer.", no: "The store of the chat (Redis) is in memory only and never written to disk.", unknown: "Whether the store of the chat (Redis) writes to disk is not known." },
    text: { true: "What is said is written to the log of the server.", false: "What is said is never written to a log." },
    known: ({ retention, lease, leave_grace: grace, member_ttl: most }) => `It is known while you are here, and for ${span(grace)} after the connection is lost; if a server fails, for about ${span(lease + grace)}; if all stop, for ${span(most)} at most.${retention > 0 ? ` It also stands beside what you said, and where you came and went, for as long as what is said is kept.` : ""}`,
    named: { true: "The log has your name, and when you came and went.", false: "There is no log, and so no name in it." },
    shown: { full: "Everybody in the room sees your whole address.", masked: "Everybody in the room sees a part of your address (203.0.113.x).", cloak: "Everybody in the room sees a word that stands for your address until midnight, and not the address.", off: "Nobody in the room sees your address." },
    logged: { none: "No address is written to a log: there is none.", full: "The log has your whole address.", masked: "The log has a part of your address (203.0.113.x).", cloak: "The log has a word that stands for your address until midnight, and not the address.", off: "The log does not have your address." },
    stored: { full: "While you are here, the store has your whole address.", masked: "While you are here, the store has a part of your address (203.0.113.x).", cloak: "While you are here, the store has a word that stands for your address until midnight, and the key to it.", off: "The store does not have your address." },
    stays: " What others see of it is kept as long as what is said.",
    mark: "Everybody, and the store, gets a mark for your address. Thousands of addresses have the same one, and it is another one when you come in on another day. By it two names from one place have the same colour, and people can go on ignoring somebody who comes back under the same name.",
    failed: "The settings could not be read. Please try again.",
  },
  ja: {
    retention: ({ retention, retention_messages: most }) => (retention > 0 ? `${span(retention)}のあいだ、部屋ごとに ${number(most)} 行まで残ります。接続が切れた人が読み落とさないためです。最後の人が部屋を出ると、さらに同じだけ残ることがあります。その後は忘れられます。` : "その場で伝わるだけで、残りません。接続が切れているあいだの発言は読めません。"),
    disk: { yes: "保管場所（Redis）はディスクに書きます。このページで保管場所にあるとしたものは、そこにより長く残るかもしれません。", no: "保管場所（Redis）はメモリーの中だけにあり、ディスクには書きません。", unknown: "保管場所（Redis）がディスクに書くかどうかは分かりません。" },
    text: { true: "話したことはサーバーのログに書かれます。", false: "話したことがログに書かれることはありません。" },
    known: ({ retention, lease, leave_grace: grace, member_ttl: most }) => `居るあいだと、接続が切れてから${span(grace)}のあいだ知られています。サーバーが一台故障したときは約${span(lease + grace)}、すべて止まったときは長くて${span(most)}残ります。${retention > 0 ? "話したことが残るのと同じあいだ、それに添えて、また出入りの記録として残ります。" : ""}`,
    named: { true: "ログには、名前と、来た時刻と去った時刻が書かれます。", false: "ログはないので、名前も書かれません。" },
    shown: { full: "部屋の全員にアドレスがそのまま見えます。", masked: "部屋の全員にアドレスの一部が見えます（203.0.113.x）。", cloak: "部屋の全員に、その日だけアドレスの代わりになる言葉が見えます。アドレスは見えません。", off: "アドレスは誰にも見えません。" },
    logged: { none: "アドレスはログに書かれません。ログがありません。", full: "ログにはアドレスがそのまま書かれます。", masked: "ログにはアドレスの一部が書かれます（203.0.113.x）。", cloak: "ログには、その日だけアドレスの代わりになる言葉が書かれます。", off: "ログにアドレスは書かれません。" },
    stored: { full: "居るあいだ、保管場所にはアドレスがそのままあります。", masked: "居るあいだ、保管場所にはアドレスの一部があります（203.0.113.x）。", cloak: "居るあいだ、保管場所には、その日だけアドレスの代わりになる言葉と、その鍵があります。", off: "保管場所にアドレスはありません。" },
    stays: "ほかの人に見えるものは、話したことと同じあいだ残ります。",
    mark: "アドレスの印が、みんなと保管場所に渡ります。何千ものアドレスが同じ印になり、別の日に入ると別の印になります。同じ場所からの名前は同じ色になり、隠した人が同じ名前で戻っても隠したままにできます。",
    failed: "設定を読めませんでした。もう一度お試しください。",
  },
};
const t = words[language];

/** The store has the form that others see and the one that operators see: here the one of them that tells more. */
const clearest = (kept) => ["full", "masked", "cloak", "off"].find((form) => form === kept.show_address || form === kept.log_address);

try {
  const kept = await (await fetch("/api/about")).json();
  const choices = { disk: kept.disk, text: String(kept.log_text), shown: kept.show_address, logged: kept.logging ? kept.log_address : "none", stored: clearest(kept), named: String(kept.logging) };
  for (const node of document.querySelectorAll("[data-of]")) {
    const sentence = t[node.dataset.of];
    node.textContent = typeof sentence === "function" ? sentence(kept) : typeof sentence === "string" ? sentence : sentence[choices[node.dataset.of]];
  }
  if (kept.show_address !== "off" && kept.retention > 0) document.querySelector("[data-of=stored]").textContent += t.stays;
} catch {
  document.getElementById("failed").textContent = t.failed;
}
