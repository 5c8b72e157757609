/** What the source files import and which globals they use, read with the TypeScript parser. */
import { readFile, readdir } from 'node:fs/promises';
import { join, posix, relative, sep } from 'node:path';
import ts from 'typescript';

export interface Import {
  readonly specifier: string;
  /** Names taken by value; '*' for the whole module (default, namespace, dynamic, re-export of everything). */
  readonly values: readonly string[];
  /** The imported file, relative to the root, when the specifier is relative. */
  readonly file: string | undefined;
}

export interface SourceFile {
  readonly path: string;
  readonly imports: readonly Import[];
  /** Files of ours whose names it exports again. */
  readonly reexports: readonly string[];
  /** Global functions and classes that are used by value: fetch, WebSocket, .. */
  readonly globals: readonly string[];
}

const WATCHED_GLOBALS: readonly string[] = ['fetch', 'WebSocket', 'EventSource', 'XMLHttpRequest'];

/** All .ts files below the given folders of `root`. */
export async function readSources(root: string, folders: readonly string[]): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  for (const folder of folders) {
    for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const path = join(entry.parentPath, entry.name);
      sources.set(relative(root, path).split(sep).join(posix.sep), await readFile(path, 'utf8'));
    }
  }
  return sources;
}

export function parseSource(path: string, text: string): SourceFile {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const imports: Import[] = [];
  const reexports: string[] = [];
  const globals = new Set<string>();
  const declared = new Set<string>();
  const add = (specifier: ts.Node | undefined, values: readonly string[]): void => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return;
    const { text: name } = specifier;
    const file = name.startsWith('.') ? posix.normalize(posix.join(posix.dirname(path), name)) : undefined;
    imports.push({ specifier: name, values, file });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, importedValues(node.importClause));
      for (const name of boundNames(node.importClause)) declared.add(name);
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, exportedValues(node));
      const file = imports.at(-1)?.file;
      if (node.moduleSpecifier !== undefined && file !== undefined) reexports.push(file);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal, []);
      if (node.isTypeOf) return;
    } else if (ts.isCallExpression(node) && isImportCall(node)) {
      add(node.arguments[0], ['*']);
    } else if (ts.isIdentifier(node) && WATCHED_GLOBALS.includes(node.text)) {
      if (isDeclarationName(node)) declared.add(node.text);
      else if (isGlobalUse(node)) globals.add(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return { path, imports, reexports, globals: [...globals].filter((name) => !declared.has(name)) };
}

function importedValues(clause: ts.ImportClause | undefined): string[] {
  if (clause === undefined) return ['*'];
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return [];
  const bindings = clause.namedBindings;
  if (clause.name !== undefined || (bindings !== undefined && ts.isNamespaceImport(bindings))) return ['*'];
  return bindings === undefined ? [] : namesOf(bindings.elements);
}

function exportedValues(node: ts.ExportDeclaration): string[] {
  if (node.isTypeOnly) return [];
  return node.exportClause !== undefined && ts.isNamedExports(node.exportClause)
    ? namesOf(node.exportClause.elements)
    : ['*'];
}

function namesOf(elements: readonly (ts.ImportSpecifier | ts.ExportSpecifier)[]): string[] {
  return elements
    .filter((element) => !element.isTypeOnly)
    .map((element) => (element.propertyName ?? element.name).text);
}

function boundNames(clause: ts.ImportClause | undefined): string[] {
  const bindings = clause?.namedBindings;
  const names = clause?.name === undefined ? [] : [clause.name.text];
  if (bindings === undefined) return names;
  if (ts.isNamespaceImport(bindings)) return [...names, bindings.name.text];
  return [...names, ...bindings.elements.map(({ name }) => name.text)];
}

/** import(..) and require(..). */
function isImportCall(node: ts.CallExpression): boolean {
  const { expression } = node;
  return (
    expression.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(expression) && expression.text === 'require')
  );
}

/** A variable, parameter or function of that name: in such a file the name is not the global. */
function isDeclarationName(node: ts.Identifier): boolean {
  const { parent } = node;
  return (
    (ts.isVariableDeclaration(parent) || ts.isParameter(parent) || ts.isBindingElement(parent)) && parent.name === node
  );
}

/** `fetch` or `globalThis.fetch` as a value: not a type, not a member or a method of something else. */
function isGlobalUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) && parent.name === node) {
    return ts.isIdentifier(parent.expression) && parent.expression.text === 'globalThis' && !isInType(parent);
  }
  if (ts.isTypeNode(parent) || ts.isTypeElement(parent) || ts.isClassElement(parent) || isInType(node)) return false;
  if (ts.isPropertyAssignment(parent)) return parent.initializer === node;
  return (
    !ts.isQualifiedName(parent) &&
    !ts.isImportSpecifier(parent) &&
    !ts.isExportSpecifier(parent) &&
    !ts.isFunctionDeclaration(parent)
  );
}

function isInType(node: ts.Node): boolean {
  for (let at: ts.Node = node; at.parent !== undefined; at = at.parent) {
    if (ts.isTypeNode(at.parent) && !ts.isExpressionWithTypeArguments(at.parent)) return true;
    if (ts.isStatement(at.parent)) return false;
  }
  return false;
}
