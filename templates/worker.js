// The service worker: when the network is gone, a page says so. It keeps that page and what it looks like, and
// nothing else, least of all what was said.
const KEPT = "offline-1";

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const page = await fetch(`/offline${location.search}`); // in the language of the page that wanted it
      const text = await page.clone().text();
      const files = [...text.matchAll(/"(\/assets\/[^"]+)"/g)].map((match) => match[1]);
      const cache = await caches.open(KEPT);
      await cache.put("/offline", page);
      await cache.addAll(files);
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (name !== KEPT) await caches.delete(name);
      await self.clients.claim();
    })(),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.mode === "navigate") event.respondWith(fetch(request).catch(() => caches.match("/offline")));
  else if (new URL(request.url).pathname.startsWith("/assets/")) event.respondWith(fetch(request).catch(async () => (await caches.match(request)) ?? Response.error()));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(self.clients.matchAll({ type: "window" }).then(([page]) => page?.focus()));
});
