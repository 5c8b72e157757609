/** Time limits that may never come: on Node 20 a composite signal holds its sources weakly, and so its timer. */
import ts from 'typescript';

/** Each `AbortSignal.any([.., AbortSignal.timeout(..)])`, as a sentence with its place. */
export function weakDeadlines(path: string, text: string): string[] {
  // Most files have none, and need not be taken apart.
  if (!/AbortSignal\s*\.\s*any\b/.test(text)) return [];
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (isCallOf(node, 'any') && contains(node, (inner) => isCallOf(inner, 'timeout'))) {
      const line = tree.getLineAndCharacterOfPosition(node.getStart()).line + 1;
      found.push(`${path}:${line} combines a timer that a garbage collection takes away: use deadline()`);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function isCallOf(node: ts.Node, name: 'any' | 'timeout'): boolean {
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false;
  return node.expression.name.text === name && node.expression.expression.getText() === 'AbortSignal';
}

function contains(node: ts.Node, holds: (inner: ts.Node) => boolean): boolean {
  return ts.forEachChild(node, (child) => holds(child) || contains(child, holds)) ?? false;
}
