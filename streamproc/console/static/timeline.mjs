// What analyses found, as lanes along the video. Pure.

const JOIN_MS = 1200;
const MOST = 14;

/** Spans of instants: two that are near enough are one. */
function spans(instants, words) {
  const made = [];
  for (const at of [...instants].sort((a, b) => a - b)) {
    const last = made.at(-1);
    if (last && at - last.to <= JOIN_MS) last.to = at;
    else made.push({ from: at, to: at, words });
  }
  return made;
}

function byName(items, nameOf) {
  const found = new Map();
  for (const item of items || []) {
    const name = nameOf(item);
    if (name) found.set(name, [...(found.get(name) || []), item.Timestamp]);
  }
  return [...found].sort((a, b) => b[1].length - a[1].length).slice(0, MOST).map(([name, instants]) => ({ name, spans: spans(instants, name) }));
}

const READ = {
  labels: (result) => byName(result.Labels, (item) => item.Label?.Name),
  persons: (result) => byName(result.Persons, (item) => `Person ${item.Person?.Index}`),
  faces: (result) => (result.Faces?.length ? [{ name: "Faces", spans: spans(result.Faces.map((item) => item.Timestamp), "face") }] : []),
  "face-search": (result) => byName(result.Persons, (item) => item.FaceMatches?.[0]?.Face?.ExternalImageId || item.FaceMatches?.[0]?.Face?.FaceId),
  segments: (result) => {
    const segments = result.Segments || [];
    const shots = segments.filter((item) => item.ShotSegment).map((item, i) => ({ from: item.StartTimestampMillis, to: item.EndTimestampMillis, words: `shot ${item.ShotSegment.Index ?? i}` }));
    const cues = new Map();
    for (const item of segments.filter((one) => one.TechnicalCueSegment)) {
      const { Type: type } = item.TechnicalCueSegment;
      cues.set(type, [...(cues.get(type) || []), { from: item.StartTimestampMillis, to: item.EndTimestampMillis, words: type }]);
    }
    return [...(shots.length ? [{ name: "Shots", spans: shots, alternate: true }] : []), ...[...cues].map(([name, list]) => ({ name, spans: list }))];
  },
};

/** `[{name, spans: [{from, to, words}]}]`, milliseconds, of one analysis's whole answer. */
export const lanes = (kind, result) => (READ[kind] ? READ[kind](result) : []);
