"use strict";
// Before the form is sent the browser looks for a number that gives a SHA-256
// with enough zero bits in front, together with the form's ticket and the
// address. It takes a moment for one, and hours for thousands.
(function () {
  const form = document.getElementById("signup");
  if (!form || !form.dataset.bits) return;
  const bits = Number(form.dataset.bits);
  const status = document.getElementById("working");
  const encoder = new TextEncoder();

  const K = new Uint32Array(64);
  const H = new Uint32Array(8);
  (function () {
    let n = 0;
    for (let p = 2; n < 64; p++) {
      let prime = true;
      for (let d = 2; d * d <= p; d++) if (p % d === 0) { prime = false; break; }
      if (!prime) continue;
      if (n < 8) H[n] = (Math.sqrt(p) % 1) * 4294967296;
      K[n++] = (Math.cbrt(p) % 1) * 4294967296;
    }
  })();

  const w = new Uint32Array(64);
  // first is the first word of the SHA-256 of some octets.
  function first(octets) {
    const length = octets.length;
    const padded = new Uint8Array(((length + 8) >> 6) + 1 << 6);
    padded.set(octets);
    padded[length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 4, length * 8);
    let h0 = H[0], h1 = H[1], h2 = H[2], h3 = H[3], h4 = H[4], h5 = H[5], h6 = H[6], h7 = H[7];
    for (let at = 0; at < padded.length; at += 64) {
      for (let i = 0; i < 16; i++) w[i] = view.getUint32(at + 4 * i);
      for (let i = 16; i < 64; i++) {
        const x = w[i - 15], y = w[i - 2];
        const s0 = (x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3;
        const s1 = (y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
      }
      let a = h0, b = h1, c = h2, d = h3, e = h4, f = h5, g = h6, h = h7;
      for (let i = 0; i < 64; i++) {
        const s1 = (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
        const t1 = h + s1 + (e & f ^ ~e & g) + K[i] + w[i] | 0;
        const s0 = (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
        const t2 = s0 + (a & b ^ a & c ^ b & c) | 0;
        h = g; g = f; f = e; e = d + t1 | 0;
        d = c; c = b; b = a; a = t1 + t2 | 0;
      }
      h0 = h0 + a | 0; h1 = h1 + b | 0; h2 = h2 + c | 0; h3 = h3 + d | 0;
      h4 = h4 + e | 0; h5 = h5 + f | 0; h6 = h6 + g | 0; h7 = h7 + h | 0;
    }
    return h0 >>> 0;
  }

  let busy = false;
  form.addEventListener("submit", function (event) {
    event.preventDefault();
    if (busy) return;
    busy = true;
    status.textContent = form.dataset.working;
    const said = form.elements.ticket.value + "\n" + form.elements.address.value.trim() + "\n";
    let n = 0;
    (function some() {
      for (const end = n + 4000; n < end; n++) {
        if (Math.clz32(first(encoder.encode(said + n))) >= bits) {
          form.elements.work.value = String(n);
          form.submit();
          return;
        }
      }
      setTimeout(some);
    })();
  });
  // Whoever comes back by the browser's own button may send again.
  window.addEventListener("pageshow", function () { busy = false; status.textContent = ""; });
})();
