// Runs before the first paint: tells the server the viewer's time zone, from the next request on.
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.includes(`zone=${zone}`)) {
    document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;
  }
  document.documentElement.classList.add("scripted");
})();
