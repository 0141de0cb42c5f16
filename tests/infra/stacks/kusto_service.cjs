// Reads queries with the language service of Kusto, the one of Log Analytics' own editor.
// Input: {"package": folder, "tables": {name: "(column: type, ...)"}, "queries": [text]}; output: for each query its errors and columns.
const { package: folder, tables, queries } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
require(`${folder}/bridge.min.js`);
require(`${folder}/Kusto.Language.Bridge.min.js`);
const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language;

const all = (list) => Array.from({ length: list.Count }, (_, place) => list.getItem(place));
const known = Object.entries(tables).map(([name, schema]) => Symbols.TableSymbol.From(schema).WithName(name));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("logs", known));
const read = queries.map((query) => {
  const code = KustoCode.ParseAndAnalyze(query, globals);
  const columns = all(code.ResultType?.Columns ?? { Count: 0 }).map((column) => [column.Name, column.Type.Name]);
  return { errors: all(code.GetDiagnostics()).map((one) => one.Message), columns: Object.fromEntries(columns) };
});
console.log(JSON.stringify(read));
