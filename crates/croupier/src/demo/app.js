// The demo's page: deals cards and counts who played them.
"use strict";
const colors = ["", "#c8102e", "#0b5fb0", "#0a7d33"];
const counts = [0, 0, 0, 0];

async function deal(number) {
  const table = document.getElementById("table");
  for (let i = 0; i < number; i++) {
    const card = document.createElement("span");
    try {
      const answer = await fetch("/card", { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      const { server, symbol, rank } = await answer.json();
      counts[server] += 1;
      card.textContent = rank + symbol;
      card.style.color = colors[server];
    } catch (error) {
      counts[0] += 1;
      card.className = "lost";
      card.textContent = "✗";
      card.title = String(error);
    }
    table.append(card);
    while (table.children.length > 80) table.firstChild.remove();
    document.getElementById("count").textContent =
      `♥ ${counts[1]}   ♦ ${counts[2]}   ♣ ${counts[3]}   lost ${counts[0]}`;
  }
}

// What follows makes this file as large as a real one.
