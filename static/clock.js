"use strict";
// Tells the server the browser's time zone, in which it then writes the times of all pages.

(() => {
  const { zone, readerZone, zoneCookie, asked } = document.documentElement.dataset;
  const YEAR_S = 31536000;
  const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const told = `${zoneCookie}=${mine}`;
  const isTold = () => document.cookie.split("; ").includes(told);
  if (!mine || !zoneCookie || mine === readerZone || isTold()) return;
  const secure = zoneCookie.startsWith("__Host-") ? "; secure" : "";
  document.cookie = `${told}; path=/; max-age=${YEAR_S}; samesite=lax${secure}`;
  // This page was written before: once more, unless it answers a form or shows UTC anyway.
  const isSignedIn = !location.pathname.endsWith("/login");
  if (isTold() && asked !== undefined && isSignedIn && zone === readerZone) location.reload();
})();
