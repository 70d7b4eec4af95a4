/**
 * The page's style sheet. Each colour of text has a contrast of 4.5 at least to what it stands on, each colour of a drawing 3, in both
 * schemes; a test computes them.
 */
const LIGHT = `--page:#f3f5f8;--card:#fff;--text:#17202b;--soft:#51606f;--line:#d5dce4;--grid:#e3e8ee;--link:#1557b0;
--good:#17703c;--look:#875500;--bad:#b3231c;--wal:#2f6fc4;--window:#1f8a4d;--hole:#c9211a;--full:#6a3fb5;
--incremental:#9367d6;--fork:#5d6b7a;--pause:#6f86a3;--delay:#b4530a;--lock:#0d7a80;
--good-back:#e8f5ec;--look-back:#fdf3e0;--bad-back:#fdecea`;

const DARK = `--page:#0e131a;--card:#171e27;--text:#e7ecf2;--soft:#a3b0be;--line:#303b48;--grid:#26303b;--link:#8abaff;
--good:#6bd598;--look:#f2c06a;--bad:#ff9289;--wal:#5b9bef;--window:#3fbf78;--hole:#ff6b60;--full:#b393f5;
--incremental:#8b68d4;--fork:#93a1b0;--pause:#6d829c;--delay:#f0964c;--lock:#3fb8be;
--good-back:#12261b;--look-back:#2a2213;--bad-back:#2e1917`;

const PAINTS: string = ['wal', 'window', 'hole', 'full', 'incremental', 'fork', 'pause', 'delay', 'lock', 'good', 'bad']
  .map((paint) => `.p-${paint}{fill:var(--${paint})}.k-${paint}{background:var(--${paint})}`)
  .join('\n');

export const STYLE: string = `:root{color-scheme:light dark;${LIGHT}}
@media (prefers-color-scheme:dark){:root{${DARK}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:80rem;padding:1rem clamp(.75rem,3vw,2rem);background:var(--page);color:var(--text);
font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.2;margin:.5rem 0 .25rem}
h2{font-size:1.25rem;margin:0 0 .75rem}
h3{font-size:1.05rem;margin:1.25rem 0 .5rem}
p{margin:.5rem 0}
a{color:var(--link)}
code{font:.86em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
header p,header ul,footer,.note,figcaption{color:var(--soft)}
header ul,nav ul,.legend{list-style:none;padding:0;margin:.25rem 0}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;margin:.75rem 0 1rem}
nav a{display:inline-block;padding:.25rem 0}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:.5rem;background:var(--card);padding:.5rem 1rem}
:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:3px}
.state,.card,.tiles>div{background:var(--card);border:1px solid var(--line);border-radius:10px}
.state{padding:1rem 1.25rem;border-left-width:8px}
.state h2{margin:0;font-size:1.4rem}
.state.good{background:var(--good-back);border-left-color:var(--good)}
.state.look{background:var(--look-back);border-left-color:var(--look)}
.state.bad{background:var(--bad-back);border-left-color:var(--bad)}
.findings{margin:.75rem 0 0;padding-left:1.25rem}
.findings li{margin:.25rem 0}
strong.good{color:var(--good)}strong.look{color:var(--look)}strong.bad{color:var(--bad)}
.tiles{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:.75rem;margin:1rem 0 .75rem}
.tiles>div{padding:.75rem 1rem}
dt{color:var(--soft);font-size:.875rem}
dd{margin:0;color:var(--soft);font-size:.875rem}
dd.value{color:var(--text);font-size:1.15rem;font-weight:600}
.note,figcaption{font-size:.9rem}
.card{padding:1.25rem;margin:1rem 0}
figure{margin:.5rem 0}
figcaption{margin-top:.5rem;max-width:65ch}
svg{display:block;overflow:visible;margin:.5rem 0;font-size:.75rem}
svg.values{padding-left:3.75rem}
svg text{fill:var(--soft);font-variant-numeric:tabular-nums}
svg .name{fill:var(--text);font-weight:600}
svg .tick{paint-order:stroke;stroke:var(--card);stroke-width:3px;stroke-linejoin:round}
.grid{stroke:var(--grid)}
.cap{stroke:var(--pause);stroke-width:2px}
${PAINTS}
.p-hole line{stroke:var(--hole);stroke-width:3px}
.p-fork{stroke:var(--fork);stroke-width:2px;stroke-dasharray:4 3}
.p-chain{stroke:var(--incremental);stroke-width:2px}
.p-pause{fill-opacity:.3}
circle{stroke:var(--card);stroke-width:1px}
circle.p-faulty{fill:var(--card);stroke:var(--hole);stroke-width:2.5px}
.legend{display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;font-size:.85rem;color:var(--soft)}
.key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}
details{margin:.5rem 0}
summary{cursor:pointer;color:var(--link);padding:.25rem 0}
.scroll{overflow-x:auto}
figure .scroll{max-height:28rem;overflow-y:auto}
table{border-collapse:collapse;width:100%;font-size:.875rem;font-variant-numeric:tabular-nums;overflow-wrap:normal}
caption{text-align:left;color:var(--soft);padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.35rem 1rem .35rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600;white-space:nowrap}
td code,time span,.code,.whole{white-space:nowrap}
td.code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.8rem}
.number{text-align:right;white-space:nowrap}
footer{font-size:.875rem;margin:1.5rem 0}
@media (max-width:48rem){.wide,.odd{display:none}th,td{padding-right:.5rem}.card{padding:1rem .9rem}.state{padding:.9rem 1rem}
.tiles{grid-template-columns:repeat(2,minmax(0,1fr));gap:.5rem}.tiles>div{padding:.6rem .7rem}dd.value{font-size:1rem}circle.p-full{r:4px}circle.p-incremental{r:2.5px}}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
@media print{:root{${LIGHT};--page:#fff}html{font-size:70%}body{max-width:none;padding:0}
nav,.skip,figure details:not([open]){display:none}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.card,.state,figure,tr{break-inside:avoid}.card:has(details[open] tr){break-inside:auto}.scroll{max-height:none;overflow:visible}h2,h3{break-after:avoid}}
`;
