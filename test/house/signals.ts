/** Signals combined by AbortSignal.any: on Node 20 it holds its sources weakly, and adds to those that live long for as long as they live. */
import ts from 'typescript';

/** Each `AbortSignal.any(..)`, as a sentence with its place. */
export function weakSignals(path: string, text: string): string[] {
  // Most files have none, and need not be taken apart.
  if (!/AbortSignal\s*\.\s*any\b/.test(text)) return [];
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (isAny(node)) {
      const line = tree.getLineAndCharacterOfPosition(node.getStart()).line + 1;
      found.push(
        `${path}:${line} combines signals that a garbage collection takes away: use following() or deadline()`,
      );
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function isAny(node: ts.Node): boolean {
  if (!ts.isPropertyAccessExpression(node)) return false;
  return node.name.text === 'any' && node.expression.getText() === 'AbortSignal';
}
