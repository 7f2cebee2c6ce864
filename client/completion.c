#include "client/completion.h"

#include <stdio.h>
#include <string.h>

#include "client/output.h"

enum { TEXT_LIMIT = 1 << 20, FLAG_BYTES = 64 };

/* What may stand at a place, which is named by the verbs before it: "", "build", "cache export". */
typedef struct word {
    const char *text, *help;
    char        letter;         /* of an option; 0: none */
    bool        is_option, has_value;
} word;

typedef struct shell {
    const char *name, *load;                /* load: what a user types */
    const char *head, *tail;                /* of the script */
    const char *open, *opened, *close;      /* around a place's name, and behind its words */
    void      (*put)(const char *place, const word *w, pf_buf *out);
} shell;

static void put_quoted(const char *text, pf_buf *out)
{
    pf_buf_printf(out, "'");
    for (; *text; text++)
        pf_buf_printf(out, *text == '\'' ? "'\\''" : "%c", *text);
    pf_buf_printf(out, "'");
}

/* ---- bash */

static void put_bash(const char *place, const word *w, pf_buf *out)
{
    (void)place;
    pf_buf_printf(out, "%s ", w->text);
}

static const char bash_head[] =
    "_planfarm() {\n"
    "  local current=\"${COMP_WORDS[COMP_CWORD]}\" verb=\"\" words=\"\" word\n"
    "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
    "    case \"$word\" in -*) ;; *) verb=\"${verb:+$verb }$word\" ;; esac\n"
    "    case \"$verb\" in \"\" | cache | keys) ;; *) break ;; esac\n"
    "  done\n"
    "  case \"$verb\" in\n";

static const char bash_tail[] =
    "  esac\n"
    "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
    "  [ -z \"$verb\" ] || [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$current\"))\n"
    "}\n"
    "complete -o filenames -F _planfarm planfarm\n";

/* ---- zsh */

static void put_zsh(const char *place, const word *w, pf_buf *out)
{
    (void)place;
    pf_buf_printf(out, "\n      '%s:'", w->text);
    put_quoted(w->help, out);
}

static const char zsh_head[] =
    "_planfarm() {\n"
    "  local verb= word\n"
    "  local -a choices\n"
    "  for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
    "    case $word in -*) ;; *) verb=\"${verb:+$verb }$word\" ;; esac\n"
    "    case $verb in \"\" | cache | keys) ;; *) break ;; esac\n"
    "  done\n"
    "  case $verb in\n";

/* As a file in fpath it is the body of the function, at its first call; sourced it only defines it. */
static const char zsh_tail[] =
    "  esac\n"
    "  _describe -o planfarm choices\n"
    "  case $verb in \"\" | cache | keys) ;; *) [[ ${words[CURRENT]} = -* ]] || _files ;; esac\n"
    "}\n"
    "compdef _planfarm planfarm\n"
    "if [[ ${funcstack[1]} = _planfarm ]]; then _planfarm \"$@\"; fi\n";

/* ---- fish */

static void put_fish(const char *place, const word *w, pf_buf *out)
{
    pf_buf_printf(out, "complete -c planfarm -n '__planfarm_at \"%s\"' ", place);
    if (!w->is_option)
        pf_buf_printf(out, "-f -a %s", w->text);
    else
        pf_buf_printf(out, "-l %s%s", w->text + strlen("--"), w->has_value ? " -r" : "");
    if (w->letter)
        pf_buf_printf(out, " -s %c", w->letter);
    pf_buf_printf(out, " -d ");
    put_quoted(w->help, out);
    pf_buf_printf(out, "\n");
}

static const char fish_head[] =
    "function __planfarm_at\n"
    "  set -l verb\n"
    "  set -l words (commandline -opc)\n"
    "  for word in $words[2..]\n"
    "    string match -q -- '-*' $word; or set -a verb $word\n"
    "    contains -- \"$verb\" '' cache keys; or break\n"
    "  end\n"
    "  test \"$verb\" = \"$argv\"\n"
    "end\n";

/* ---- all of them */

static const shell shells[] = {
    { "bash", "source <(planfarm completion bash)", bash_head, bash_tail, "    \"", "\") words=\"", "\" ;;\n",
      put_bash },
    { "zsh", "source <(planfarm completion zsh)", zsh_head, zsh_tail, "    \"", "\") choices=(", ") ;;\n",
      put_zsh },
    { "fish", "planfarm completion fish | source", fish_head, "", "# planfarm ", "\n", "", put_fish },
};

static void put_options(const shell *s, const char *place, const pf_option *options, pf_buf *out)
{
    for (const pf_option *option = options; option && option->name; option++) {
        char flag[FLAG_BYTES];
        word w = { .text = flag, .help = option->help, .letter = option->letter, .is_option = true,
                   .has_value = option->kind != PF_OPTION_FLAG };

        pf_option_flag(option, flag, sizeof flag);
        s->put(place, &w, out);
    }
}

static void put_verbs(const shell *s, const char *place, const pf_verb *verbs, pf_buf *out)
{
    static const word help = { .text = "--help", .help = "print a text about it", .is_option = true };

    pf_buf_printf(out, "%s%s%s", s->open, place, s->opened);
    for (const pf_verb *verb = verbs; verb->name; verb++) {
        word w = { .text = verb->name, .help = verb->summary };

        s->put(place, &w, out);
    }
    s->put(place, &help, out);
    pf_buf_printf(out, "%s", s->close);
}

static void put_places(const shell *s, const char *before, const pf_verb *verbs, pf_buf *out)
{
    for (const pf_verb *verb = verbs; verb->name; verb++) {
        char place[FLAG_BYTES] = "";

        snprintf(place, sizeof place, "%s%s%s", before, before[0] ? " " : "", verb->name);
        if (verb->body->verbs) {
            put_verbs(s, place, verb->body->verbs, out);
            put_places(s, place, verb->body->verbs, out);
            continue;
        }
        pf_buf_printf(out, "%s%s%s", s->open, place, s->opened);
        put_options(s, place, verb->body->options, out);
        put_options(s, place, pf_common_options, out);
        pf_buf_printf(out, "%s", s->close);
    }
}

static const shell *find_shell(const char *name)
{
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(shells[i].name, name) == 0)
            return &shells[i];
    return NULL;
}

pf_status pf_completion(pf_call *call, const char *name, pf_err *err)
{
    const shell *s = find_shell(name);
    pf_buf       script;

    if (!s)
        return PF_FAIL(err, PF_UNSUPPORTED, "there is no completion for \"%.40s\", only for bash, zsh and fish", name);
    pf_buf_init(&script, TEXT_LIMIT);
    pf_buf_printf(&script, "%s# %s completion of planfarm; load it with: %s\n%s",
                  strcmp(name, "zsh") == 0 ? "#compdef planfarm\n" : "", s->name, s->load, s->head);
    put_verbs(s, "", pf_verbs, &script);
    put_places(s, "", pf_verbs, &script);
    pf_buf_printf(&script, "%s", s->tail);
    if (script.failed) {
        pf_buf_clear(&script);
        return PF_FAIL_MEMORY(err, TEXT_LIMIT);
    }
    json_object_set_new(call->result, "script", json_string((const char *)script.data));
    pf_say_buf(call, &script);
    return PF_OK;
}
