"""What jinja2, Oniguruma and transformers make of templates, patterns and token files, for tests/model_folder."""

import datetime
import json
import tempfile
from pathlib import Path

from tokenizers import Regex, pre_tokenizers
from transformers import TokenizersBackend
from transformers.utils import chat_template_utils

HERE = Path(__file__).parent
TESTS = HERE.parents[1] / "tests" / "model_folder"

# fmt: off
MESSAGES = [{"role":"system","content":" Sys é "},{"role":"user","content":"Hi 'a' \"b\"\n"},{"role":"assistant","content":"","reasoning_content":"why","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":{"town":"Ulm","n":1,"x":1.5,"ok":True,"no":None,"l":[1,"a"],"e":{}}}}]},{"role":"tool","content":"ok","tool_call_id":"c1","name":"f"}]
SEVERAL_LINES = [
"  {% if true %}  \n  b\n  {% endif %}  \nend\n","a {#- c\n -#}\n b\n\n","{%- macro g(x) -%}\n {{- x }}\n{%- endmacro -%}\n[{{ g('a') }}]","line1\n\n{% if true %}\nline2\n{% endif %}\n\nend\n\n\n","a\r\n{% if true %}\r\nb\r{% endif %}\r\nc\r\n","{{ 'a\r\nb' }}","{{ '''a''' }}","x\x0by","{% if true -%}\r\n  x\r\n{%- endif %}\r\n","{% raw %}\r\na{% endraw %}","  {{ 1 }}  \n  {# c #}  \nx","{# c #}\n x","{{ 'a\\\nb' }}","\ufeffabc","{% set x %}\n a\n{% endset %}[{{ x }}]","{% for i in [1,2] %}\n  - {{ i }}\n{% endfor %}\n.", "   {%- if true %} a{% endif %}\n", "{% if true %}a{% endif %}   \nb","\t{% if true %}\t\nx\t{% endif %}"]
FAMILIES = {
 'gpt2':r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
 'llama3':r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
 'qwen2':r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
 'gpt4o':r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
 'tekken':r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
 'cl100k':r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
 'cl100k_plus':r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
 'deepseek':"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
 'deepseek_cjk':"[一-龥\u0800-一가-\u9fff]+" if False else "[一-龥぀-ゟ゠-ヿ]+",
 'deepseek_llm_digits':r"\p{N}{1,3}",
 'deepseek_coder':r"\s?[A-Za-zµÀ-ÖØ-öø-ƺ]+",
 'bloom':r" ?[^(\s|[.,!?…。，、।۔،])]+",
 'starcoder_digits':r"\d",
 'glm4':r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
 'kimi':r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
OTHERS = { 'rep1':r"a+?+",'rep2':r"a*?*",'rep3':r"\p{N}{1,3}?+",'rep4':r"a?+?",'rep5':r"a**",'lt':r"\<a",'gt':r"a\>",'iLu':r"(?i:\p{Lu})+",'iN':r"(?i:[\p{Ll}])+",'negcls':r"[\p{^L}a]+",'ltc':r"[\<a]+",'begin':r"^\s*\p{L}+",'end':r"\s+$",'A':r"\A\p{L}+",'z':r"\p{L}+\z",'Z':r"\p{L}+\Z",'w':r"\w+",'W':r"\W+",'d':r"\d+",'D':r"\D+",'s':r"\s+",'S':r"\S+",'L':r"\p{L}+",'N':r"\p{N}+",'M':r"\p{M}+",'P':r"\p{P}+",'S2':r"\p{S}+",'Lu':r"\p{Lu}+",'Ll':r"\p{Ll}+",'Lt':r"\p{Lt}+",'Lo':r"\p{Lo}+",'Lm':r"\p{Lm}+",'Z2':r"\p{Z}+",'Cc':r"\p{C}+",'Han':r"\p{Han}+",'IsHan':r"\p{IsHan}+",'Hira':r"\p{Hiragana}+",'Hangul':r"\p{Hangul}+",'Latin':r"\p{Latin}+",'Cyr':r"\p{Cyrillic}+",'alpha':r"\p{Alpha}+",'Alphabetic':r"\p{Alphabetic}+",'palnum':r"\p{alnum}+",'pspace':r"\p{space}+",'pdigit':r"\p{digit}+",'pupper':r"\p{upper}+",'plower':r"\p{lower}+",'negp':r"\p{^L}+",'PL':r"\P{L}+",'calpha':r"[[:alpha:]]+",'cdigit':r"[[:digit:]]+",'cspace':r"[[:space:]]+",'clower':r"[[:lower:]]+",'cupper':r"[[:upper:]]+",'cpunct':r"[[:punct:]]+",'calnum':r"[[:alnum:]]+",'cneg':r"[[:^alpha:]]+",'pos':r"\p{L}++\p{L}|\p{N}",'n3p':r"\p{N}{1,3}+",'n3s':r"\p{N}{2}*",'n3q':r"\p{N}{1,3}?",'n2q':r"\p{N}{2}?a",'n0':r"\p{N}{,2}",'grp3p':r"(?:a|\p{N}){2,3}+b?",'cls3p':r"[a-z\p{N}]{2}+",'atomic':r"(?>\p{L}+)\p{N}",'la':r"\p{L}+(?=\s)",'nla':r"\s+(?!\S)",'lb':r"(?<=\s)\p{L}+",'nlb':r"(?<!\s)\p{L}+",'i':r"(?i:ss|k|straße|ﬁ)",'i2':r"(?i)abc",'m':r"(?m:.+)",'s':r"(?s:.+)",'dot':r".+",'x':r"(?x: a b )",'amp':r"[a-z&&[^aeiou]]+",'dd':r"[a--z]+",'tt':r"[a~~z]",'br':r"[a[bc]]+",'rb':r"[]a]+",'hyph':r"[a\-z-]+",'caret':r"[\^a^]+",'h':r"\h+",'R':r"\R",'X':r"\X",'K':r"a\Kb",'b':r"\b\p{L}+\b",'B':r"\Ba",'u':r"[\u4e00-\u9fa5]+",'u2':r"\u0041",'xh':r"\x41",'xb':r"\x{41}",'t':r"[\t\n\r\f\v]+",'e':r"\e",'ref':r"(a)\1",'named':r"(?<n>a)",'empty':r"a*",'alt':r"a||b",'sl':r"a\/b",'us':r"[\w']+",'Ws':r"[^\w\s]+",'ds':r"[\d.]+",'sd':r"[^\d\s]+",'nocl':r"[^\p{L}\p{N}\s]+",'emoji':r"\p{Emoji}+",'gcl':r"\p{Letter}+",'gc2':r"\p{Uppercase_Letter}+",'So':r"\p{So}+",'Pc':r"\p{Pc}+",'Nd':r"\p{Nd}+",'Any':r"\p{Any}",'ASCII':r"\p{ASCII}+",'quant':r"a{2}{3}",'possq':r"a?+b",'lazy':r"a+?b",'brace':r"a{b",'dollarcls':r"[$^]+",'pipe':r"(^|\s)a",'grpq':r"(?:^a)+", 'digitsep':r"\d{1,3}(?=(?:\d{3})*\b)",'digitsep2':r"\d{1,3}(?=(\d{3})*(\D|$))"}
def code(kind,pat,inv=False,beh='Isolated'): pass
TEXTS = ["Hello, World! it's 12345 678 straße ﬁn","a\nb\n\nc \n","  x  \r\n\r\n y\t\tz ","\n","abc\n","12 1234 1234567 a12b","ǅ Ǆ ǆ İ ſ K Å","한국어 문장입니다 123","日本語テキスト、漢字。12","مرحبا ١٢٣ بالعالم","हिन्दी में १२३","🙂👍🏽👩‍👩‍👧 x","naïve cafe\u0301 Å","a_b-c+d=e/f\\g","IT'S We'll I'M 'LL","x\u200dy\u200cz \u2028w","²³½ Ⅷ ⓐ ①","aa aaa aaaa","foo  bar   baz    ","    indented\n        more","1,234,567.89","http://a.b/c?d=e&f","<|im_start|>user\n","«Привет», мир! ёЁ","ΑΣ ας Ω","ab ABC abcABC AbcDef","\ta\n\n\tb\r\rc","","a"," ","é","k K \u212a ss ß ẞ SS","A\u0041\x7f\x00"," $x^2$ [y] ]z"]
# fmt: on


class Clock(datetime.datetime):
    """3 February 2026."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 2, 3, 4, 5, 6)


def render(template: str) -> str | None:
    """The rendered conversation, or None if jinja2 refuses."""
    try:
        return chat_template_utils.render_jinja_template(
            [MESSAGES], chat_template=template, add_generation_prompt=True, bos_token="<s>", eos_token="</s>"
        )[0][0]
    except Exception:
        return None


def jinja() -> dict:
    chat_template_utils.datetime = Clock
    expressions = (HERE / "expressions.txt").read_text().splitlines()
    templates = ["{{ " + line + " }}" for line in expressions] + (HERE / "templates.txt").read_text().splitlines() + SEVERAL_LINES
    rows = [[template, render(template)] for template in templates]
    rows = [row for row in rows if " at 0x" not in (row[1] or "") and "lipsum" not in row[0]]
    return {"messages": json.dumps(MESSAGES, ensure_ascii=False), "cases": rows}


def patterns() -> dict:
    # Every eleventh character of the scripts in common use, so that a class of characters is told from its neighbours.
    some = [chr(c) for c in range(0x21, 0x3100, 11) if chr(c).isprintable()]
    texts = TEXTS + [" ".join(some[i : i + 80]) for i in range(0, len(some), 80)]
    rows = []
    for name, pattern in [*FAMILIES.items(), *OTHERS.items()]:
        if name in ("empty", "alt"):
            continue  # a match of nothing between two characters is no split
        try:
            split = pre_tokenizers.Split(Regex(pattern), "isolated")
        except Exception:
            rows.append([pattern, None])
            continue
        rows.append([pattern, [[len(piece) for piece, _ in split.pre_tokenize_str(text)] for text in texts]])
    return {"texts": texts, "cases": rows}


CONFIG, MAP, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"


def token(content: str, **flags) -> dict:
    defaults = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"content": content, **defaults, **flags}


def named(content: str, **flags) -> dict:
    """A token as special_tokens_map.json has it."""
    return {key: value for key, value in token(content, **flags).items() if key != "special"}


# The files beside a fixture's tokenizer.json.
TOKEN_FILES = [
    {},
    {CONFIG: {"eos_token": "<|stop|>", "pad_token": "<pad>"}},
    {CONFIG: {"eos_token": "</s>", "unk_token": "", "pad_token": None, "add_bos_token": True}},
    {CONFIG: {"pad_token": "block", "sep_token": "e", "mask_token": "▁the", "cls_token": "<cls>"}},
    {CONFIG: {"image_token": "<image>", "voice_token": 5, "boi_token": "<|im_start|>"}},
    {CONFIG: {"eos_token": token("<|stop|>", lstrip=True) | {"__type": "AddedToken"}}},
    {CONFIG: {"additional_special_tokens": ["<|tool|>", "block", "<|tool|>"]}},
    {CONFIG: {"additional_special_tokens": ["<|tool|>"], "extra_special_tokens": ["<|call|>"]}},
    {CONFIG: {"additional_special_tokens": ["<|tool|>"], "extra_special_tokens": []}},
    {CONFIG: {"extra_special_tokens": {"image_token": "<image>", "start": "block"}, "image_token": "<|stop|>"}},
    {CONFIG: {"added_tokens_decoder": {}, "eos_token": "<|stop|>"}},
    {CONFIG: {"added_tokens_decoder": {"399": token("<|im_end|>", special=False), "398": token("<|im_start|>", rstrip=True)}}},
    {CONFIG: {"added_tokens_decoder": {"1": token("<s>", special=False), "2": token("</s>", lstrip=True, rstrip=True)}}},
    {CONFIG: {"added_tokens_decoder": {"500": token("block", single_word=True, special=False), "7": token("<|tool|>")}}},
    {CONFIG: {"added_tokens_decoder": {"500": token("Block and", normalized=True, special=False)}, "eos_token": "Block and"}},
    {CONFIG: {"added_tokens_decoder": {"12": token("<|tool|>")}}, MAP: {"eos_token": "<|stop|>"}, ADDED: {"<|call|>": 600}},
    {CONFIG: {"eos_token": "</s>"}, MAP: {"eos_token": "<|stop|>", "pad_token": named("<pad>", lstrip=True, normalized=True)}},
    {CONFIG: {"eos_token": "</s>", "bos_token": "<s>"}, MAP: {"eos_token": None}},
    {CONFIG: {}, MAP: {"additional_special_tokens": ["<|tool|>", "<|call|>"], "image_token": "<image>"}},
    {CONFIG: {"additional_special_tokens": ["<|stop|>"]}, MAP: {"additional_special_tokens": ["<|tool|>"]}},
    {CONFIG: {"extra_special_tokens": ["<|stop|>"]}, MAP: {"extra_special_tokens": [named("<|tool|>", rstrip=True), "<|stop|>"]}},
    {CONFIG: {"extra_special_tokens": ["<|stop|>"]}, MAP: {"extra_special_tokens": {"image_token": "<image>"}}},
    {MAP: {"bos_token": "<s>", "eos_token": named("<|im_end|>", rstrip=True)}},
    {CONFIG: {"eos_token": "<|stop|>"}, ADDED: {"<|tool|>": 600, "<|stop|>": 601, "block": 602}},
    {CONFIG: {"eos_token": "</s>"}, ADDED: {"<|tool|>": 2, "<|call|>": 399, "<|im_end|>": 600}},
    {CONFIG: {"eos_token": "</s>", "pad_token": "<|im_end|>"}},
    {CONFIG: {"added_tokens_decoder": {"399": token("<|im_end|>", special=False), "2": token("</s>", special=False)}, "eos_token": "<|im_end|>", "bos_token": "</s>"}},
    {CONFIG: {"eos_token": "<|im_end|>"}, ADDED: {"<|im_end|>": 5}},
    {CONFIG: {"image_token": "<image>", "added_tokens_decoder": {"500": token("<image>", special=False), "501": token("<image>", special=False, lstrip=True)}}},
    {CONFIG: {"additional_special_tokens": []}, MAP: {"additional_special_tokens": ["<|tool|>"]}},
    {CONFIG: {"additional_special_tokens": None}, MAP: {"additional_special_tokens": ["<|tool|>"]}},
    {CONFIG: {"extra_special_tokens": []}, MAP: {"additional_special_tokens": ["<|tool|>"]}},
    {CONFIG: {"additional_special_tokens": ["<|tool|>"]}, MAP: {"extra_special_tokens": None}},
    {MAP: {"additional_special_tokens": ["<|tool|>"]}, ADDED: {"<|tool|>": 700}},
    {CONFIG: {"additional_special_tokens": ["<|tool|>"]}, ADDED: {"<|tool|>": 700}},
    {CONFIG: {"image_token": "<image>"}, ADDED: {"<image>": 700}},
    {CONFIG: {"image_token": "<image>"}, MAP: {"image_token": "<pad>"}},
    {CONFIG: {"image_token": "<image>"}, MAP: {"image_token": None}},
    {CONFIG: {"model_specific_special_tokens": {"start": "<|im_start|>"}}},
    {CONFIG: {"model_specific_special_tokens": {"start": "<|im_start|>"}, "image_token": "<image>"}},
    {MAP: {"pad_token": token("<pad>", special=False)}},
    {CONFIG: {"additional_special_tokens": [{"__type": "AddedToken", "content": "<|tool|>", "lstrip": True}]}},
    {CONFIG: {"image_token": {"content": "<image>"}, "voice_token": {"__type": "AddedToken", "content": "<pad>"}}},
    {CONFIG: {"voice_token": "<|stop|>", "image_token": "<image>"}},
    {CONFIG: {}, ADDED: {"<|tool|>": 700, "<|call|>": 700}},
    {CONFIG: {"additional_special_tokens": {"image_token": "<image>"}}},
    {MAP: {"eos_token": "<|stop|>", "pad_token": {"content": "<|stop|>", "lstrip": True}}},
    {CONFIG: {"extra_special_tokens": ["<|tool|>"]}, MAP: {"extra_special_tokens": [named("<|tool|>", rstrip=True)]}},
    {CONFIG: {"image_token": "<image>", "voice_token": token("<pad>") | {"__type": "AddedToken"}}},
    {CONFIG: {"voice_token": "<image>"}, MAP: {"image_token": "<pad>"}},
    {CONFIG: {"voice_token": "<image>", "image_token": "<pad>"}, MAP: {"image_token": "<cls>"}},
    {CONFIG: {"model_specific_special_tokens": {"image_token": "<image>"}, "voice_token": token("<pad>") | {"__type": "AddedToken"}}},
]
TOKEN_TEXTS = ["a block, Block and blocks", "x <|stop|> y", "<pad> <image>", "the <|tool|>  e", "<s> one </s> two", "<|im_start|> a <|im_end|> b", "<|call|><|tool|>", "<|endoftext|> \n<cls>"]
TOKEN_NAMES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token", "image_token", "boi_token", "voice_token", "start"]


def token_files() -> dict:
    names = "|".join("{{ " + name + " }}" for name in TOKEN_NAMES)
    rows = []
    # The last: whether the tokens of tokenizer.json are special.
    for fixture, special in (("llama", True), ("qwen2", True), ("qwen2", False)):
        stored = json.loads((HERE.parents[1] / "tests/fixtures" / fixture / "tokenizer.json").read_text())
        for added in stored["added_tokens"]:
            added["special"] = special
        for files in TOKEN_FILES:
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "tokenizer.json").write_text(json.dumps(stored))
                for name, contents in files.items():
                    (Path(folder) / name).write_text(json.dumps(contents))
                try:
                    tokenizer = TokenizersBackend.from_pretrained(folder)
                except Exception as error:
                    print(fixture, files, repr(error))
                    continue
                ids = [tokenizer.encode(text) for text in TOKEN_TEXTS]
                decoded = [tokenizer.decode(row, skip_special_tokens=True) for row in ids]
                rendered = tokenizer.apply_chat_template([{"role": "user", "content": ""}], chat_template=names, tokenize=False)
                rows.append([fixture, special, files, ids, decoded, rendered])
    return {"texts": TOKEN_TEXTS, "template": names, "cases": rows}


def write(name: str, goldens: dict) -> None:
    head = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in goldens.items() if key != "cases"]
    rows = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in goldens["cases"])
    (TESTS / name).write_text("{" + ",\n".join([*head, f'"cases": [\n{rows}\n]']) + "}\n")


write("jinja.json", jinja())
write("patterns.json", patterns())
write("token_files.json", token_files())
