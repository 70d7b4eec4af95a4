/**
 * Runs in a page, not here. The contrasts, as WCAG 2 computes them, of every text that is shown to the colour behind it, and of every
 * shape of a drawing that bears meaning to the card: how many there are, and the lowest of them.
 */
(() => {
  const parse = (text) => {
    const [red, green, blue, alpha = 1] = /\((.*)\)/
      .exec(text)[1]
      .split(/[,/ ]+/)
      .map(Number);
    return { red, green, blue, alpha };
  };
  const share = (value) => (value <= 10.31 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const light = ({ red, green, blue }) => 0.2126 * share(red) + 0.7152 * share(green) + 0.0722 * share(blue);
  const ratio = (a, b) => {
    const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if (parse(backgroundColor).alpha === 1) return backgroundColor;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = { count: 0, worst: { ratio: Infinity, what: 'nothing' } };
  const shapes = { count: 0, worst: { ratio: Infinity, what: 'nothing' } };
  const add = (all, element, colour, what) => {
    all.count += 1;
    const found = ratio(parse(colour), parse(behind(element)));
    if (found < all.worst.ratio) all.worst = { ratio: found, what: `${what}: ${colour} on ${behind(element)}` };
  };

  for (const details of document.querySelectorAll('details')) details.open = true;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    const text = node.textContent.trim();
    if (text === '' || element.closest('title,desc') !== null || !element.checkVisibility()) continue;
    const { color, fill } = getComputedStyle(element);
    add(texts, element, element.closest('svg') === null ? color : fill, text.slice(0, 60));
  }
  for (const shape of document.querySelectorAll('svg rect, svg circle, svg line:not(.grid)')) {
    const { fill, stroke, fillOpacity } = getComputedStyle(shape);
    // Of a pale bar the cap on it tells the height; of a hollow mark its edge.
    if (Number(fillOpacity) < 1) continue;
    const isEdge = shape.tagName === 'line' || shape.classList.contains('p-faulty');
    add(shapes, shape, isEdge ? stroke : fill, shape.outerHTML.slice(0, 80));
  }
  return { texts, shapes };
})();
