"use strict";
// Made by manage.py words: the texts of the scripts in another language.
window.hawserWords.learn({
 "Asking…": "Richiesta in corso…",
 "Follow live": "Segui in diretta",
 "Live, {number} came; updated {seconds} s ago": "In diretta, arrivati {number}; aggiornato {seconds} s fa",
 "No message matches; everything was looked through.": "Nessun messaggio corrisponde; è stato esaminato tutto.",
 "Not refreshed for {seconds} s: the server does not answer": "Non aggiornato da {seconds} s: il server non risponde",
 "Not refreshed for {seconds} s: {reason}": "Non aggiornato da {seconds} s: {reason}",
 "Older": "Precedenti",
 "Select at least one connection first.": "Selezionare prima almeno una connessione.",
 "Stop following": "Non seguire più",
 "Stopped; {number} came": "Fermato; arrivati {number}",
 "That is all.": "Questo è tutto.",
 "The web server did not take it. Reload the page and try again.": "Il server web non ha accettato la richiesta. Ricaricare la pagina e riprovare.",
 "The web server does not answer; nobody knows what came of it.": "Il server web non risponde; l'esito è sconosciuto.",
 "Updated {seconds} s ago": "Aggiornato {seconds} s fa",
 "d": "g",
 "in {number} {unit}": "tra {number} {unit}",
 "less than 1 s": "meno di 1 s",
 "now": "ora",
 "the server cannot reach its data": "il server non raggiunge i suoi dati",
 "the server does not answer": "il server non risponde",
 "the session has ended: sign in again": "la sessione è terminata: accedere di nuovo",
 "{all}:": "{all}:",
 "{number} selected:": [
  "{number} selezionata:",
  "{number} selezionate:"
 ],
 "{number} {unit} ago": "{number} {unit} fa",
 "{number}: {names}": "{number}: {names}",
 "{number}: {names} and {others} more": "{number}: {names} e altre {others}"
}, (n) => Number(n != 1));
