/* See pattern.h. A recursive descent over the text makes a tree; the tree becomes instructions, counted repetitions as
 * copies; matching keeps the set of instructions that some way through the text has reached. */
#include "runtime/hosted/pattern.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_REPEAT = 1000, MAX_CODE = 1 << 14, MAX_DEPTH = 500, INFINITE = -1, LAST = 0x10ffff };

enum { FOLD = 1, MULTI = 2, DOT_ALL = 4 }; /* flags i, m, s */

typedef struct range {
  uint32_t low, high;
} range;

typedef enum kind { EMPTY, SET, CONCAT, ALTERNATE, REPEAT, ASSERT } kind;

/* SET: ranges [a, a + b) of the pool. REPEAT: left from a to b times. ASSERT: a is the character that writes it. */
typedef struct node {
  kind kind;
  int negated, fold, a, b;
  int left, right; /* nodes, -1: none */
} node;

typedef enum opcode { OP_SET, OP_SPLIT, OP_ASSERT, OP_MATCH } opcode;

/* Where to go on: x, for SPLIT also y. */
typedef struct instruction {
  opcode op;
  int x, y, set; /* set: node of a SET; character of an ASSERT */
} instruction;

struct burin_pattern {
  const char *text, *end, *why;
  range *ranges;
  node *nodes;
  instruction *code;
  int num_ranges, max_ranges, num_nodes, max_nodes, num_code, max_code, depth, start;
  int *marks, *now, *next, *stack; /* of a match */
};

static int fail(burin_pattern *p, const char *why) {
  if (!p->why)
    p->why = why;
  return -1;
}

static int grow(burin_pattern *p, void **list, int count, int *room, size_t size) {
  if (count < *room)
    return 1;
  int wanted = *room ? 2 * *room : 32;
  void *more = realloc(*list, (size_t)wanted * size);
  if (!more)
    return fail(p, "out of memory"), 0;
  *list = more;
  *room = wanted;
  return 1;
}

static int add_node(burin_pattern *p, node n) {
  if (p->num_nodes >= MAX_CODE)
    return fail(p, "the pattern is too large");
  if (!grow(p, (void **)&p->nodes, p->num_nodes, &p->max_nodes, sizeof n))
    return -1;
  p->nodes[p->num_nodes] = n;
  return p->num_nodes++;
}

static void add_range(burin_pattern *p, uint32_t low, uint32_t high) {
  if (grow(p, (void **)&p->ranges, p->num_ranges, &p->max_ranges, sizeof(range)))
    p->ranges[p->num_ranges++] = (range){low, high};
}

uint64_t burin_decode_utf8(const char *bytes, uint64_t left, uint32_t *code) {
  const unsigned char *b = (const unsigned char *)bytes;
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  uint64_t length = b[0] < 0x80                   ? 1
                    : b[0] >= 0xf0 && b[0] < 0xf8 ? 4
                    : b[0] >= 0xe0 && b[0] < 0xf0 ? 3
                    : b[0] >= 0xc0 && b[0] < 0xe0 ? 2
                                                  : 0;
  uint32_t c = length == 1 ? b[0] : length ? b[0] & (0xffu >> (length + 1)) : 0;
  int good = length && length <= left;
  for (uint64_t i = 1; good && i < length; ++i) {
    good = (b[i] & 0xc0) == 0x80;
    c = c << 6 | (b[i] & 0x3f);
  }
  if (!good || (length > 1 && c < least[length]) || c > LAST) {
    *code = 0xfffd;
    return 1;
  }
  *code = c;
  return length;
}

/* --- The text of a pattern ------------------------------------------------------------------------------------------
 */

static uint32_t take(burin_pattern *p) {
  uint32_t c;
  p->text += burin_decode_utf8(p->text, (uint64_t)(p->end - p->text), &c);
  return c;
}

static int looking_at(const burin_pattern *p, const char *text) {
  size_t length = strlen(text);
  return (size_t)(p->end - p->text) >= length && !memcmp(p->text, text, length);
}

static int accept(burin_pattern *p, const char *text) {
  if (!looking_at(p, text))
    return 0;
  p->text += strlen(text);
  return 1;
}

static int is_word(uint32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* Ranges by name, in order, so that the complement can be told. */
typedef struct named {
  const char *name;
  unsigned char bounds[10]; /* pairs */
  int pairs;
} named;

static const named classes[] = {{"d", {'0', '9'}, 1},
                                {"s", {'\t', '\n', '\f', '\r', ' ', ' '}, 3},
                                {"w", {'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}, 4},
                                {"alnum", {'0', '9', 'A', 'Z', 'a', 'z'}, 3},
                                {"alpha", {'A', 'Z', 'a', 'z'}, 2},
                                {"ascii", {0, 127}, 1},
                                {"blank", {'\t', '\t', ' ', ' '}, 2},
                                {"cntrl", {0, 31, 127, 127}, 2},
                                {"digit", {'0', '9'}, 1},
                                {"graph", {'!', '~'}, 1},
                                {"lower", {'a', 'z'}, 1},
                                {"print", {' ', '~'}, 1},
                                {"punct", {'!', '/', ':', '@', '[', '`', '{', '~'}, 4},
                                {"space", {'\t', '\r', ' ', ' '}, 2},
                                {"upper", {'A', 'Z'}, 1},
                                {"word", {'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}, 4},
                                {"xdigit", {'0', '9', 'A', 'F', 'a', 'f'}, 3}};

static int add_class(burin_pattern *p, const char *name, size_t length, int negated) {
  for (size_t i = 0; i < sizeof classes / sizeof *classes; ++i) {
    const named *c = &classes[i];
    if (strlen(c->name) != length || memcmp(c->name, name, length))
      continue;
    uint32_t from = 0;
    for (int k = 0; k < c->pairs; ++k) {
      if (!negated)
        add_range(p, c->bounds[2 * k], c->bounds[2 * k + 1]);
      else if (c->bounds[2 * k] > from)
        add_range(p, from, c->bounds[2 * k] - 1u);
      from = c->bounds[2 * k + 1] + 1u;
    }
    if (negated)
      add_range(p, from, LAST);
    return 1;
  }
  return 0;
}

static int hex(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

/* The character behind a backslash that has been read; classes are not for here. */
static uint32_t escaped(burin_pattern *p) {
  if (p->text == p->end)
    return (uint32_t)fail(p, "a backslash stands at the end");
  uint32_t c = take(p), value = 0;
  static const char names[] = "afnrtv", codes[] = "\a\f\n\r\t\v";
  const char *found = c < 128 && c ? strchr(names, (int)c) : NULL;
  if (found)
    return (uint32_t)codes[found - names];
  if (c >= '0' && c <= '7' && (c == '0' || (p->text < p->end && *p->text >= '0' && *p->text <= '7'))) {
    value = c - '0';
    for (int i = 0; i < 2 && p->text < p->end && *p->text >= '0' && *p->text <= '7'; ++i)
      value = value * 8 + (uint32_t)(*p->text++ - '0');
    return value;
  }
  if (c == 'x') {
    int braces = accept(p, "{"), digits = 0;
    while (p->text < p->end && hex(*p->text) >= 0 && (braces || digits < 2) && value <= LAST) {
      value = value * 16 + (uint32_t)hex(*p->text++);
      ++digits;
    }
    if (!digits || (!braces && digits != 2) || (braces && !accept(p, "}")) || value > LAST)
      fail(p, "expected hexadecimal digits behind \\x");
    return value;
  }
  if (c >= 128 || is_word(c))
    fail(p, "an escape that is not supported");
  return c;
}

static int set_of(burin_pattern *p, int first, int negated, int flags) {
  return add_node(p, (node){SET, negated, flags & FOLD, first, p->num_ranges - first, -1, -1});
}

static int literal(burin_pattern *p, uint32_t c, int flags) {
  int first = p->num_ranges;
  add_range(p, c, c);
  return set_of(p, first, 0, flags);
}

static int parse_brackets(burin_pattern *p, int flags) {
  int first = p->num_ranges, negated = accept(p, "^");
  for (int begins = 1; !p->why; begins = 0) {
    if (p->text == p->end)
      return fail(p, "a [ is not closed");
    if (!begins && accept(p, "]"))
      break;
    if (accept(p, "[:")) {
      int not = accept(p, "^");
      const char *name = p->text;
      while (p->text < p->end && !looking_at(p, ":]"))
        ++p->text;
      if (p->text == p->end || !add_class(p, name, (size_t)(p->text - name), not))
        return fail(p, "no such class between [: and :]");
      p->text += 2;
      continue;
    }
    uint32_t low = take(p);
    if (low == '\\') {
      if (p->text < p->end && *p->text && strchr("dswDSW", *p->text)) {
        char name = *p->text++;
        char lower = (char)(name | 32);
        add_class(p, &lower, 1, name != lower);
        continue;
      }
      low = escaped(p);
    }
    uint32_t high = low;
    if (p->end - p->text >= 2 && *p->text == '-' && p->text[1] != ']') {
      ++p->text;
      high = take(p);
      if (high == '\\')
        high = escaped(p);
    }
    if (high < low)
      return fail(p, "a range runs backwards");
    add_range(p, low, high);
  }
  return set_of(p, first, negated, flags);
}

static int join(burin_pattern *p, kind k, int a, int b) {
  return a < 0 ? b : b < 0 ? a : add_node(p, (node){k, 0, 0, 0, 0, a, b});
}

static int parse_alternatives(burin_pattern *p, int flags);

/* Behind "(?": flags, up to ")" or ":"; -1 for an error. */
static int parse_flags(burin_pattern *p, int *flags) {
  int off = 0;
  for (;;) {
    if (p->text == p->end)
      return fail(p, "a ( is not closed");
    char c = *p->text++;
    int bit = c == 'i' ? FOLD : c == 'm' ? MULTI : c == 's' ? DOT_ALL : 0;
    if (c == ')' || c == ':')
      return c == ':';
    if (c == '-')
      off = 1;
    else if (!bit && c != 'U')
      return fail(p, "an unknown flag behind (?");
    *flags = off ? *flags & ~bit : *flags | bit;
  }
}

static int parse_group(burin_pattern *p, int *flags) {
  int inside = *flags;
  if (accept(p, "?P<") || (looking_at(p, "?<") && accept(p, "?<"))) {
    while (p->text < p->end && *p->text != '>')
      if (!is_word((unsigned char)*p->text++))
        return fail(p, "a group's name has letters, digits and _ only");
    if (!accept(p, ">"))
      return fail(p, "a group's name is not closed");
  } else if (accept(p, "?")) {
    int isGroup = parse_flags(p, &inside);
    if (isGroup < 0)
      return -1;
    if (!isGroup) {
      *flags = inside;
      return add_node(p, (node){EMPTY, 0, 0, 0, 0, -1, -1});
    }
  }
  int body = parse_alternatives(p, inside);
  if (!p->why && !accept(p, ")"))
    return fail(p, "a ( is not closed");
  return body;
}

static int assertion(burin_pattern *p, int c) { return add_node(p, (node){ASSERT, 0, 0, c, 0, -1, -1}); }

static int parse_atom(burin_pattern *p, int *flags) {
  uint32_t c = take(p);
  int first = p->num_ranges;
  switch (c) {
  case '(':
    return parse_group(p, flags);
  case '[':
    return parse_brackets(p, *flags);
  case '.':
    if (*flags & DOT_ALL) {
      add_range(p, 0, LAST);
    } else {
      add_range(p, 0, '\n' - 1);
      add_range(p, '\n' + 1, LAST);
    }
    return set_of(p, first, 0, 0);
  case '^':
    return assertion(p, *flags & MULTI ? '^' : 'A');
  case '$':
    return assertion(p, *flags & MULTI ? '$' : 'z');
  case '*':
  case '+':
  case '?':
    return fail(p, "nothing stands before a repetition");
  case '\\':
    break;
  default:
    return literal(p, c, *flags);
  }
  if (p->text < p->end && *p->text && strchr("AzbB", *p->text))
    return assertion(p, *p->text++);
  if (p->text < p->end && *p->text && strchr("dswDSW", *p->text)) {
    char name = *p->text++, lower = (char)(name | 32);
    add_class(p, &lower, 1, name != lower);
    return set_of(p, first, 0, 0);
  }
  if (accept(p, "Q")) {
    int all = add_node(p, (node){EMPTY, 0, 0, 0, 0, -1, -1});
    while (p->text < p->end && !accept(p, "\\E") && !p->why)
      all = join(p, CONCAT, all, literal(p, take(p), *flags));
    return all;
  }
  return literal(p, escaped(p), *flags);
}

/* "{n}", "{n,}" or "{n,m}"; else a brace is a character like any other. */
static int parse_counts(burin_pattern *p, int *least, int *most) {
  const char *start = p->text;
  int values[2] = {-1, -1}, at = 0, comma = 0;
  ++p->text;
  while (p->text < p->end && *p->text != '}') {
    char c = *p->text++;
    if (c == ',' && !comma && values[0] >= 0) {
      comma = at = 1;
    } else if (c >= '0' && c <= '9' && values[at] <= MAX_REPEAT) {
      values[at] = (values[at] < 0 ? 0 : values[at]) * 10 + (c - '0');
    } else {
      at = -1;
      break;
    }
  }
  if (at < 0 || p->text == p->end || values[0] < 0) {
    p->text = start;
    return 0;
  }
  ++p->text;
  *least = values[0];
  *most = comma ? values[1] : values[0];
  if (*least > MAX_REPEAT || *most > MAX_REPEAT || (*most >= 0 && *most < *least))
    fail(p, "a repetition count is beyond 1000 or runs backwards");
  return 1;
}

static int parse_alternatives(burin_pattern *p, int flags) {
  if (++p->depth > MAX_DEPTH)
    return fail(p, "the pattern is nested too deep");
  int all = -1;
  do {
    int sequence = add_node(p, (node){EMPTY, 0, 0, 0, 0, -1, -1});
    while (!p->why && p->text < p->end && *p->text != '|' && *p->text != ')') {
      int atom = parse_atom(p, &flags);
      for (int least, most; !p->why && p->text < p->end;) {
        if (accept(p, "*"))
          least = 0, most = INFINITE;
        else if (accept(p, "+"))
          least = 1, most = INFINITE;
        else if (accept(p, "?"))
          least = 0, most = 1;
        else if (*p->text != '{' || !parse_counts(p, &least, &most))
          break;
        (void)accept(p, "?"); /* which way is tried first does not matter to a full match */
        atom = add_node(p, (node){REPEAT, 0, 0, least, most, atom, -1});
      }
      sequence = join(p, CONCAT, sequence, atom);
    }
    all = join(p, ALTERNATE, all, sequence);
  } while (!p->why && accept(p, "|"));
  --p->depth;
  return p->why ? -1 : all;
}

/* --- Instructions ----------------------------------------------------------------------------------------------------
 */

static int add_code(burin_pattern *p, instruction i) {
  if (p->num_code >= MAX_CODE)
    return fail(p, "the pattern is too large");
  if (!grow(p, (void **)&p->code, p->num_code, &p->max_code, sizeof i))
    return -1;
  p->code[p->num_code] = i;
  return p->num_code++;
}

/* Code for a node that goes on at `next`; where it starts. */
static int emit(burin_pattern *p, int index, int next) {
  if (p->why)
    return -1;
  node n = p->nodes[index];
  switch (n.kind) {
  case EMPTY:
    return next;
  case SET:
    return add_code(p, (instruction){OP_SET, next, -1, index});
  case ASSERT:
    return add_code(p, (instruction){OP_ASSERT, next, -1, n.a});
  case CONCAT:
    return emit(p, n.left, emit(p, n.right, next));
  case ALTERNATE: {
    int left = emit(p, n.left, next), right = emit(p, n.right, next);
    return add_code(p, (instruction){OP_SPLIT, left, right, -1});
  }
  case REPEAT: {
    int at = next;
    if (n.b == INFINITE) {
      at = add_code(p, (instruction){OP_SPLIT, next, next, -1});
      int body = emit(p, n.left, at);
      if (p->why)
        return -1;
      p->code[at].x = body;
    }
    for (int i = n.a; i < n.b && !p->why; ++i)
      at = add_code(p, (instruction){OP_SPLIT, emit(p, n.left, at), next, -1});
    for (int i = 0; i < n.a && !p->why; ++i)
      at = emit(p, n.left, at);
    return at;
  }
  }
  return -1;
}

burin_pattern *burin_pattern_create(const char *text, uint64_t length, const char **why) {
  burin_pattern *p = calloc(1, sizeof *p);
  *why = "out of memory";
  if (!p)
    return NULL;
  p->text = text;
  p->end = text + length;
  int root = parse_alternatives(p, 0);
  if (!p->why && p->text < p->end)
    fail(p, "a ) closes nothing");
  int match = add_code(p, (instruction){OP_MATCH, -1, -1, -1});
  p->start = p->why ? -1 : emit(p, root, match);
  size_t count = (size_t)p->num_code + 1;
  p->marks = calloc(count, sizeof(int));
  p->now = malloc(count * sizeof(int));
  p->next = malloc(count * sizeof(int));
  p->stack = malloc(2 * count * sizeof(int));
  if (!p->marks || !p->now || !p->next || !p->stack)
    fail(p, "out of memory");
  *why = p->why;
  if (!p->why)
    return p;
  burin_pattern_destroy(p);
  return NULL;
}

void burin_pattern_destroy(burin_pattern *p) {
  if (!p)
    return;
  free(p->ranges);
  free(p->nodes);
  free(p->code);
  free(p->marks);
  free(p->now);
  free(p->next);
  free(p->stack);
  free(p);
}

/* --- Matching --------------------------------------------------------------------------------------------------------
 */

static int in_ranges(const burin_pattern *p, const node *n, uint32_t c) {
  for (int i = n->a; i < n->a + n->b; ++i)
    if (c >= p->ranges[i].low && c <= p->ranges[i].high)
      return 1;
  return 0;
}

static int in_set(const burin_pattern *p, const node *n, uint32_t c) {
  int found = in_ranges(p, n, c);
  if (!found && n->fold && ((c | 32) >= 'a' && (c | 32) <= 'z' && c < 128))
    found = in_ranges(p, n, c ^ 32);
  return found != n->negated;
}

static int holds(int assertion_kind, const char *text, const char *at, const char *end) {
  int before = at > text && is_word((unsigned char)at[-1]), after = at < end && is_word((unsigned char)*at);
  switch (assertion_kind) {
  case 'A':
    return at == text;
  case 'z':
    return at == end;
  case '^':
    return at == text || at[-1] == '\n';
  case '$':
    return at == end || *at == '\n';
  case 'b':
    return before != after;
  default:
    return before == after;
  }
}

/* Adds to `list` what is reached from `from` without reading on; `mark` tells this place in the text. */
static int reach(burin_pattern *p, int from, int mark, int *list, int count, const char *text, const char *at,
                 const char *end) {
  int top = 0;
  p->stack[top++] = from;
  while (top) {
    int i = p->stack[--top];
    if (p->marks[i] == mark)
      continue;
    p->marks[i] = mark;
    const instruction *c = &p->code[i];
    if (c->op == OP_SPLIT) {
      p->stack[top++] = c->y;
      p->stack[top++] = c->x;
    } else if (c->op == OP_ASSERT) {
      if (holds(c->set, text, at, end))
        p->stack[top++] = c->x;
    } else {
      list[count++] = i;
    }
  }
  return count;
}

int burin_pattern_matches(burin_pattern *p, const char *text, uint64_t length) {
  const char *at = text, *end = text + length;
  int mark = 1;
  memset(p->marks, 0, ((size_t)p->num_code + 1) * sizeof(int));
  int count = reach(p, p->start, mark, p->now, 0, text, at, end);
  while (at < end && count) {
    if (mark == 0x7fffffff) { /* a text of 2^31 characters */
      memset(p->marks, 0, ((size_t)p->num_code + 1) * sizeof(int));
      mark = 0;
    }
    ++mark;
    uint32_t c;
    at += burin_decode_utf8(at, (uint64_t)(end - at), &c);
    int following = 0;
    for (int i = 0; i < count; ++i) {
      const instruction *now = &p->code[p->now[i]];
      if (now->op == OP_SET && in_set(p, &p->nodes[now->set], c))
        following = reach(p, now->x, mark, p->next, following, text, at, end);
    }
    int *swap = p->now;
    p->now = p->next;
    p->next = swap;
    count = following;
  }
  for (int i = 0; i < count; ++i)
    if (at == end && p->code[p->now[i]].op == OP_MATCH)
      return 1;
  return 0;
}
