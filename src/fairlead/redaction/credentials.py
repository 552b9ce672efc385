"""Secrets: what opens something, told by its own form or by the name that it is given under."""

from __future__ import annotations

import re

from fairlead.redaction.finding import Category
from fairlead.redaction.rule import Rule, Span, hints, value_of

__all__ = ["HINTS", "RULES"]

_TOKENS = (
    r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[0-9A-Z]{16}",
    r"gh[pousr]_[A-Za-z0-9]{30,255}",
    r"github_pat_\w{22,255}",
    r"gl(?:pat|dt|rt|ptt)-[\w-]{20,255}",
    r"sk-[A-Za-z0-9_-]{20,255}",
    r"[sprw]k_(?:live|test)_[A-Za-z0-9]{10,255}",
    r"whsec_[A-Za-z0-9+/=]{16,255}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,255}",
    r"xapp-[A-Za-z0-9-]{10,255}",
    r"AIza[\w-]{35}",
    r"ya29\.[\w.-]{20,512}",
    r"GOCSPX-[\w-]{20,64}",
    r"hf_[A-Za-z0-9]{20,255}",
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[\w-]{32,512}",
    r"SG\.[\w-]{16,64}\.[\w-]{16,64}",
    r"dop_v1_[0-9a-f]{64}",
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    r"eyJ[\w-]{8,4096}\.[\w-]{4,8192}(?:\.[\w-]{0,4096}){0,3}",
    r"[0-9]{8,10}:AA[\w-]{33}",
    r"hooks\.slack\.com/services/[\w/]{20,128}",
)
_KEYS = (
    r"pass(?:word|wd|phrase|code)?|pwd|senha|contraseña|clave|passwort|kennwort|mot[ _-]de[ _-]passe|wachtwoord|"
    r"lösenord|passord|adgangskode|salasana|hasło|heslo|пароль|密码|密碼|パスワード|비밀번호|"
    r"secret(?:[_-]?(?:access[_-]?)?key)?|(?:access|auth|refresh|id|api|session|csrf|xsrf|bearer|bot)?[_-]?token|"
    r"api[ _-]?key|access[ _-]?key(?:[ _-]?id)?|private[ _-]?key|account[_-]?key|"
    r"shared[_-]?access[_-]?(?:key|signature)|"
    r"client[_-]?secret|signing[_-]?key|encryption[_-]?key|license[_-]?key|(?:x[_-])?auth(?:orization|entication)?|"
    r"proxy-authorization|credentials?|session[ _-]?id|jsessionid|phpsessid|sid|pin(?:[ _-]?code)?|cvv2?|cvc2?|otp|"
    r"one[ -]time (?:code|password)|security code|verification code|webhook[_-]?url|"
    r"x-amz-(?:signature|credential|security-token)"
)
_QUOTES = "\"'`"
_STATED = re.compile(
    rf"(?<![A-Za-z0-9])(?P<key>{_KEYS})\\?[{_QUOTES}]?\s{{0,3}}"
    r"(?P<sign>=>|:=|==?|:|\b(?:is|lautet|ist|est|es|è|é)\b:?)\s{0,3}"
    rf"(?:b?\\?(?P<quote>[{_QUOTES}])(?P<quoted>(?:(?!(?P=quote))[^\n\\]|\\[^\n]){{1,512}})(?P=quote)?"
    r"|(?P<bare>(?:[^\s\"'`,;&<>]|&(?!\w+=)){1,1024}))",
    re.IGNORECASE,
)
_WHAT_FOR = (
    r"verification|security|log-?in|sign-?in|access|confirmation|authenti\w{1,8}|one[ -]time|2fa|mfa|sms|activation|"
    r"unlock|reset|card|sim"
)
_CODES = (
    re.compile(
        rf"(?<![^\W_])(?:(?:{_WHAT_FOR}) (?:code|pin|password|number)|otp|pin(?: code)?|passcode|cvv2?|cvc2?|csc|tan|"
        r"(?:sicherheits|bestätigungs|verifizierungs|zugangs)code|code de (?:sécurité|vérification|confirmation)|"
        r"código de (?:seguridad|verificación|segurança|verificação)|codice di (?:sicurezza|verifica)|"
        r"验证码|認証コード|인증번호)"
        r"(?:\s?[:=#]\s?|\s(?:is|was|lautet|ist|est|es|è|é)[: ]\s?|\s|(?<=[^\x00-\u02ff]))"
        r"(?P<value>[0-9](?:[ -]?[0-9]){2,8})(?![0-9.%])",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?<![^\W_])code (?:is )?(?P<value>[0-9]{4,8})"
        r"(?= (?:to|for) (?:\w{1,16} ){0,2}(?:sign|log|verif|confirm|reset|unlock))",
        re.IGNORECASE,
    ),
    re.compile(r"(?<![^\W_])your (?:\w{1,16} ){0,2}code(?: is|:) (?P<value>[0-9]{4,8})(?![0-9])", re.IGNORECASE),
    re.compile(
        r"(?<![0-9.])(?P<value>[0-9]{4,8})(?= is your (?:\w{1,16} ){0,3}(?:code|otp|pin|password))", re.IGNORECASE
    ),
)
"""Numbers that open something once."""
_SAID = re.compile(
    r"(?<![A-Za-z0-9])(?:api[ _-]?key|password|passwd|passwort|token|secret)\s"
    r"(?=[\w.+/=-]{0,64}[0-9])(?=[\w.+/=-]{0,64}[A-Za-z])(?P<value>[\w.+/=-]{8,512})",
    re.IGNORECASE,
)
"""What stands right behind its name and looks like nothing else."""
_TYPED = (
    re.compile(r"(?<!\S)(?:-u|--user|--proxy-user)[ =]?(?P<value>[^\s:'\"]{1,64}:[^\s'\"]{1,256})"),
    re.compile(
        r"(?:mysql|mysqldump|mariadb|sshpass|mongo[a-z]{0,8})\s(?:[^\n]{0,64}\s)?"
        r"(?:-p|--password[ =])(?P<value>[^\s'\"]{3,256})"
    ),
)
"""What opens something on a command line."""
_SCHEMES = re.compile(r"(?:bearer|basic|digest|token|negotiate|apikey)\s{1,3}", re.IGNORECASE)
_NO_VALUE = re.compile(
    r"(?:none|null|nil|undefined|true|false|empty|missing|invalid|required|expired|wrong|incorrect|must|not|is|are|"
    r"was|has|have|should|could|can|cannot|the|a|an|to|of|for|in|on|and|or|at|too|no|yes|ok|okay|set|unset|optional|"
    r"here|there|this|that|your|my|our|please|field|string|str|int|bytes|object|list|dict|optional\[.*|changed|reset|"
    r"updated|verified|accepted|rejected|denied|failed|passed|unknown|redacted|hidden|masked|default|disabled|enabled|"
    r"needed|given|valid|short|long|secret|password|token|bearer|basic|strong|weak|same|safe|correct|[*•x.]+|"
    r"[<\[{($%].*|[-|/\\.…!?]+)[.,;:!?)\]}]*",
    re.IGNORECASE,
)
_STRONG = re.compile(r"[0-9]|[^\w\s.,;:!?'-]|[a-z][A-Z]")
_COUNTED = re.compile(r"(?:pass|pin|otp|token|auth|sid|id_token|passcode)", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(r"[0-9]{1,3}(?:\.[0-9]+)?%?[.,;:)\]}]*")


def _stated(match: re.Match[str]) -> Span | None:
    """The value that a name is followed by, if it looks like one and not like a sentence that goes on."""
    if match["quoted"] is not None:
        return match.span("quoted") if not _NO_VALUE.fullmatch(match["quoted"]) else None
    value = match["bare"]
    if (scheme := _SCHEMES.match(match.string, match.start("bare"))) is not None:
        rest = re.compile(r"[^\s\"'`,;<>]{1,1024}").match(match.string, scheme.end())
        return (
            rest.span()
            if rest and (match["key"].lower().startswith(("auth", "proxy")) or _STRONG.search(rest.group()))
            else None
        )
    if _NO_VALUE.fullmatch(value) or (_COUNTED.fullmatch(match["key"]) and _PLAIN_NUMBER.fullmatch(value)):
        return None
    if not _STRONG.search(value.rstrip(".,;:!?")):
        sign = match["sign"]
        if sign[0].isalpha() or (sign == ":" and not _ends_there(match)):
            return None
    return match.span("bare")


def _ends_there(match: re.Match[str]) -> bool:
    """Whether nothing but a mark follows the word: a value stands alone, a sentence goes on."""
    rest = match.string[match.end() : match.end() + 2]
    return not rest.strip() or rest[0] in ",;&)]}\"'`\n"


def _scheme_value(match: re.Match[str]) -> Span | None:
    value = match["value"]
    is_telling = any(c.isdigit() for c in value) or value.endswith("=") or (value.lower() != value != value.title())
    return value_of(match) if is_telling or len(value) >= 24 else None  # noqa: PLR2004 - no word is so long


def _user_info(match: re.Match[str]) -> Span | None:
    return None if match["value"] in ("git", "") else match.span("value")


HINTS = hints(
    "pass,pwd,secret,token,key,auth,cred,session,sessid,sid,pin,cvv,cvc,csc,otp,tan,code,código,codice,signature,"
    "sig,bearer,basic,digest,negotiate,cookie,senha,contrase,clave,kennwort,webhook,wachtwoord,lösenord,adgangs,"
    "salasana,hasło,heslo,пароль,密,パスワード,비밀번호,验证码,認証,인증번호,jwt,state,nonce,-u,is your,akia,asia,agpa,"
    "aida,aroa,anpa,gh,gl,sk-,k_live,k_test,whsec,xox,xapp,aiza,ya29,gocspx,hf_,npm_,pypi-,sg.,dop_,shp,eyj,:aa,slack,"
    "-----begin,://"
)
"""One of these is in every text, in lower case, that has a secret."""

RULES = (
    Rule(
        category=Category.SECRET,
        pattern=re.compile(
            r"-----BEGIN [A-Z ]{0,24}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----)[\s\S]){0,16384}"
            r"(?:-----END [A-Z ]{0,24}PRIVATE KEY(?: BLOCK)?-----)?"
        ),
    ),
    Rule(category=Category.SECRET, pattern=re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_TOKENS)})")),
    Rule(
        category=Category.SECRET,
        pattern=re.compile(
            r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,24}://"
            r"(?P<value>[^\s\"'<>/?#:@]{0,256}(?::(?![0-9]{1,5}/)[^\s\"'<>]{0,256})?)@"
        ),
        check=_user_info,
    ),
    Rule(
        category=Category.SECRET,
        pattern=re.compile(
            r"[?&;#](?:amp;)?(?:[\w-]{0,32}(?:token|key(?:[_-]?pair)?(?:[_-]?id)?|secret|password|passwd|pwd|signature|"
            r"credential|session|auth)"
            r"|sig|code|sid|jwt|pass|otp|pin|state|nonce)(?:=|%3D)(?P<value>[^\s\"'<>&#;]{4,2048})",
            re.IGNORECASE,
        ),
    ),
    Rule(category=Category.SECRET, pattern=_STATED, check=_stated),
    *(Rule(category=Category.SECRET, pattern=pattern) for pattern in (*_CODES, _SAID, *_TYPED)),
    Rule(
        category=Category.SECRET,
        pattern=re.compile(
            r"(?<![\w-])(?:bearer|basic|digest|negotiate)[ \t]{1,3}(?P<value>[A-Za-z0-9._~+/=-]{8,4096})",
            re.IGNORECASE,
        ),
        check=_scheme_value,
    ),
    Rule(
        category=Category.SECRET,
        pattern=re.compile(
            r"(?<![\w-])(?:set-)?cookie\\?[\"']?\s{0,2}[:=,]\s{0,2}b?[\"']?(?P<value>[^\s\"'=;]{1,128}=[^\n\"']{1,4096})",
            re.IGNORECASE,
        ),
    ),
)
