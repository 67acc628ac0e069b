"""Plots as data: what is drawn first (`picks`) and the beats, one sentence or two each, every one a list of alternatives.

`{slot}` puts in a word ({Slot} with a capital letter), `[a|b]` chooses; see grammar.py. The main slots: n, he, him, his: the hero;
c: the companion (at first mention with what they are to the hero), cv: when spoken to; when: the day, as the opening leaves it.
`topics` are what a chat may ask the story to be about, `asks` are questions about it, with the answer after the bar `#`.
"""

# How the plain opening goes, and what `when` then is. The last two begin a day.
OPENINGS = [
    ("Once upon a time, there was a {trait} {kind} named {n}. [{He} lived {home}.|{Likes}.|]", "One {weather} [morning|day|afternoon],"),
    ("Once upon a time, a {trait} {kind} named {n} lived {home}. [{Likes}.|]", "One {weather} [morning|day|afternoon],"),
    ("Once there was a {trait} {kind} named {n} who lived {home}.", "One {weather} [morning|day|afternoon],"),
    ("There once was a {kind} named {n}. [{He} was {trait}[| and brave| and good], and {he} lived {home}.|{Likes}.|]", "One {weather} [morning|day],"),
    ("{N} was a {trait} {kind} who lived {home}. [{Likes}.|]", "One {weather} [morning|day|afternoon],"),
    ("[In a house|Far away] {far}[, there|] lived a {trait} {kind} named {n}.", "One {weather} [morning|day],"),
    ("A {trait} {kind} named {n} lived {home}.", "One {weather} [morning|day|afternoon],"),
    ("Long ago, a {trait} {kind} named {n} lived {home}.", "One {weather} [morning|day|afternoon],"),
    ("It was a {weather} [morning|day], and a {kind} named {n} was [up early|in a good mood|wide awake].", "[Soon|After breakfast|A little later],"),
    ("One {weather} [morning|day], a {trait} {kind} named {n} woke up [early|with a smile|and looked outside].", "[Soon|After breakfast|A little later],"),
]
FAR = ["by the sea", "in the hills", "by the river", "near the woods"]

HAPPY = ["{N} [smiled|laughed]", "{N} was [very|so] happy", "{N} jumped for joy", "{N} felt warm inside"]
TOGETHER = ["{n} and {c} [went home|walked home] [hand in hand|together|side by side]", "{n} and {c} [sang|laughed|talked] all the way home",
            "{n} and {c} were tired but [glad|happy] when they came home"]

LIKES = ["{he} liked to {hobby}", "{he} loved to {hobby}", "{he} liked to {hobby} and to {hobby2}", "{he} could {hobby} very well",
         "{his} favorite color was {favorite}", "{his} favorite food was {food}", "{he} always wore a {favorite} [hat|scarf|ribbon]"]

LOST = dict(
    topics=["a lost {toy}", "a {color} {toy}", "{n} and a {color} {toy}", "a {toy} in {place}", "{place}"],
    asks=["What did {n} lose?#{He} lost {his} {color} {toy}.", "Where was the {toy}?#It was {spot}.", "Who helped them?#A {helper} helped them.",
          "Where did they go?#They went to {place}."],
    picks=["color", "toy", "place", "spot", "loss", "helper", "companion"],
    beats=[
        ["{N} had a {color} {toy}.", "{N} loved {his} {color} {toy}.", "More than anything, {n} loved {his} {color} {toy}."],
        ["", "It was a gift from {his} {elder}.", "{He} took it everywhere.", "{He} even slept next to it."],
        ["\n"],
        ["{When} {n} [took|carried] the {toy} to {place}. {C} came [too|along].", "{When} {n} and {c} went to {place} with the {toy}."],
        ["They [played and laughed|had a lot of fun|ran and jumped|told each other jokes] [all morning|for a while|until noon].", "{Sky}. {N} and {c} [sang a song|told each other stories|raced each other].",
         "They were having a lovely time.", "At first, everything was [fine|wonderful]."],
        ["Then {loss}.", "But then {loss}.", "Suddenly, something went wrong: {loss}."],
        ["{N} [looked all around|turned around], but the {toy} was gone.", "Now the {toy} was gone.", "The {toy} was nowhere to be seen."],
        ["\n"],
        ["\"Oh no! Where is my {toy}?\" [cried|said] {n}.", "\"My {toy} is gone!\" [cried|said] {n}.", "{N} was so sad that a tear ran down {his} face.",
         "{N} began to cry. \"I want my {toy} back,\" {he} said."],
        ["\"Do not [worry|cry|be sad], {n},\" said {c}. \"We will [find it|look for it] together.\"", "\"Let us look for it,\" said {c}.",
         "\"It cannot be far away,\" said {c}. \"Come, {n}.\""],
        ["They looked {spot2}[ and {spot3}|], but it was not there.", "{N} looked {spot2}, and {c} looked {spot3}. They found nothing."],
        ["Then they met a {helper}. \"Have you seen a {color} {toy}?\" asked {n}.",
         "A {helper} came by. \"[Please|Excuse me], have you seen a {color} {toy}?\" asked {c}."],
        ["\"[Yes|Oh yes|I think so],\" said the {helper}. \"[There is|I saw] something {color} {spot}.\"",
         "\"[Yes|Oh yes|I think so],\" said the {helper}. \"Go and look {spot}.\""],
        ["\n"],
        ["They [ran|hurried] to look, and there it was! The {color} {toy} was {spot}.", "{N} [ran|hurried] to look. There, {spot}, was the {color} {toy}!"],
        ["\"Thank you[| so much], {helper}!\" said {n}.", "{N} hugged the {toy} and [then hugged {c}|thanked the {helper}].",
         "{N} thanked the {helper} [and gave it a piece of bread|again and again]."],
        ["From that day on, {n} [took good care of|held on tightly to] the {toy}.",
         "{N} learned that it is good to ask for help.", "{Together}. That night, the {toy} [slept|lay] beside {n}'s pillow.",
         "{N} learned that with a friend, even a bad day can turn out well."],
    ])

HELP = dict(
    topics=["a {animal}", "a {animal} who needs help", "helping a {animal}", "being kind", "{n} and a {animal}"],
    asks=["Who needed help?#A small {animal} needed help.", "What did the {animal} bring?#It brought {thanks}.", "Where did they go?#They went to {place}."],
    picks=["place", "trouble", "thanks", "companion"],
    beats=[
        ["{N} liked [animals of every kind|to help others|to walk and look at things].", "{N} had a [good|big] heart.", ""],
        ["\n"],
        ["{When} {n} went for a walk [to|near] {place} with {c}.", "{When} {n} and {c} were on their way to {place}.",
         "{When} {n} [walked past|was near] {place}, and {c} was there too."],
        ["", "{Sky}.", "{Sky}.", "They [sang a song|counted clouds|looked for shells]."],
        ["[Suddenly|Then|There], they heard a [small|soft|thin] voice. \"[Help|Please help me]!\"", "[Suddenly|Then], {n} heard somebody cry.",
         "\"Listen!\" said {c}. \"Somebody is crying.\""],
        ["It was a small {animal}. It {trouble}.", "It was a {animal} that {trouble}.", "They looked around and saw a small {animal} that {trouble}."],
        ["\n"],
        ["\"[Poor little thing|Oh dear]!\" said {n}. \"[We must help!|What can we do?]\"", "\"Poor {animal},\" said {n}. \"We must do something.\"",
         "{N} felt sorry for the {animal}. \"I want to help you,\" {he} said."],
        ["{C} [thought for a moment|looked around]. \"[I have an idea. |]We need {tool}.\"", "\"I know what to do,\" said {c}. \"Bring {tool}.\""],
        ["{N} ran [home|off] and came back with {tool}.", "Soon {n} found {tool}.", "{N} looked everywhere until {he} had {tool}."],
        ["[Very carefully|Slowly|Gently], {n} {fix}.", "{C} told {n} to be careful. Then {n} {fix}."],
        ["\"[Thank you|Oh, thank you]!\" said the {animal}. \"You [are very kind|saved me|are good friends].\"",
         "The {animal} [looked up|was so glad]. \"I will never forget this,\" it said."],
        ["\n"],
        ["The next [day|morning], the {animal} came back with {thanks} for {n}.", "A week later, {n} found {thanks} at the door. It was from the {animal}.",
         "Before it left, the {animal} gave {n} {thanks}."],
        ["{Happy}.", "{N} was happy, and so was everybody else.", "{C} smiled[| at {n}]. \"Well done,\" said {c}."],
        ["From then on, {n} and the {animal} were friends.", "{N} learned that even a small help can mean a lot.",
         "{N} learned that kindness always comes back.", "They [met|played] every day after that."],
    ])

SHARE = dict(
    topics=["sharing", "a {want}", "two friends and a {want}", "{n} and {cshort}"],
    asks=["What did they both want?#They both wanted the {want}.", "What did they learn?#They learned to share."],
    picks=["share", "peer"],
    beats=[
        ["{N} often played with {c}.", "{N} spent every day with {c}.", "{N} and {c} did everything together."],
        ["\n"],
        ["{When} they [found|saw] a {want}. There was only one.", "{When} there was a {want}, but only one.", "{When} they both wanted the same {want}."],
        ["\"[I saw it first|It is mine|I want it]!\" said {n}. \"No, [I saw it first|it is mine|I want it]!\" [shouted|said] {c}.",
         "\"Give it to me!\" [shouted|said] {n}. \"No, it is my turn!\" [shouted|said] {c}."],
        ["They pulled and pushed until {wrong}.", "Both of them pulled[| as hard as they could], and {wrong}.", "They got so angry that {wrong}."],
        ["Now nobody was happy.", "It was very quiet then.", "{N} began to cry, and {c} looked at the ground."],
        ["\n"],
        ["{His} {parent} had heard the noise. \"What [happened|is wrong]?\" {parent_he} asked.", "Then {his} {parent} came. \"Why are you so sad?\" {parent_he} asked."],
        ["\"We both wanted the {want},\" said [{n}|{c}].", "\"We had a fight about the {want},\" said [{n}|{c}]."],
        ["\"You can {share},\" said {his} {parent}.",
         "{His} {parent} smiled. \"There is a better way. You can {share}.\""],
        ["{N} looked at {c}. \"I am sorry,\" said {n}. \"I am sorry too,\" said {c}.", "\"[Good idea|Let us try that]!\" said {c}. {N} [nodded|agreed].",
         "\"I am sorry, {c},\" said {n}. \"Shall we try?\" {C} [nodded|smiled]."],
        ["\n"],
        ["So that is what they did. It was [twice as much|much more] fun [that way|than before].", "They tried it[ at once|], and it was the best [day|afternoon] of the [week|year]."],
        ["They learned that sharing makes everything better.", "After that, {n} and {c} shared [everything|all their things].",
         "\"Sharing is fun,\" said {n}, and {c} laughed.", "{N} learned that a friend is worth more than a {want}."],
    ])

BRAVE = dict(
    topics=["being brave", "a {kind} who is afraid of {fear}", "a {kind} who was afraid", "{fear}", "{n} and {cshort}"],
    asks=["What was {n} afraid of?#{He} was afraid of {fear}.", "Who helped {n}?#{C} helped {n}."],
    picks=["fear", "companion"],
    beats=[
        ["{N} was afraid of {fear}.", "There was one thing that {n} did not like: {fear}.", "Only one thing scared {n}, and that was {fear}."],
        ["[Nobody|Almost nobody] knew about it.", "The others [laughed about it|did not understand].", "Just to think of it made {n}'s knees shake.", ""],
        ["\n"],
        ["{When} {n} was with {c} when {scare}.", "{When} {n} and {c} were together. Then {scare}.", "{When} {n} had to face it. {C} was there when {scare}."],
        ["", "{Sky}."],
        ["{N} [wanted to run away|hid {his} face|could not move|began to shake].", "{N}'s heart [began to beat fast|beat like a drum]."],
        ["\"I [cannot do it|am scared|want to go home],\" [whispered|said] {n}.", "\"[Help|Oh no]! I am [so|too] scared!\" cried {n}."],
        ["\n"],
        ["\"Everybody is afraid of something,\" said {c}.",
         "\"I [know|understand],\" said {c}. \"I was afraid of it once, too.\"", "{C} came closer. \"It is all right to be scared,\" said {c}."],
        ["\"[Try this|Here is a trick]: {advice}.\"", "\"Just {advice}. I [will stay|am right here] with you.\""],
        ["\"Will you stay [here|with me]?\" asked {n}. \"[Of course|Always|Yes, I will],\" said {c}.", "{N} took a deep breath. \"I will try,\" {he} said.", "{N} was not sure, but {he} wanted to try."],
        ["\n"],
        ["[Slowly|Step by step|At last], {n} found {his} courage. {He} {deed}.", "So {n} tried. {He} {deed}.", "First nothing happened. But then {n} {deed}."],
        ["\"[You did it|I am so proud of you|That was very brave], {n}!\" [cried|said] {c}.", "\"I did it!\" [shouted|cried] {n}. {C} [clapped|was so proud]."],
        ["From that day on, {n} was not afraid of {fear} anymore.", "{N} was still a little afraid of {fear} sometimes, but {he} knew what to do.",
         "{N} learned that being brave means to try even when you are scared.", "That [night|evening], {n} went to bed [happy and proud|with a big smile]."],
    ])

MAKE = dict(
    topics=["making a {make}", "a {make}", "{n} and a {make}", "trying again"],
    asks=["What did {n} make?#{He} made a {make}.", "What went wrong at first?#{Fail}.", "What did {n} use?#{He} used {parts}."],
    picks=["make", "companion"],
    beats=[
        ["{N} liked to [make|build|try] [new|all kinds of] things.", "{N} always had [new|good|big] ideas.", "{N} was never bored.", ""],
        ["\n"],
        ["{When} {n} had a wonderful idea. \"I [want to|will] make a {make}!\" {he} said.",
         "{When} {n} said to {c}, \"I [want to|will] make a {make}!\"", "{When} {n} wanted to make a {make}."],
        ["{He} [took|found|got] {parts} and [began|started|went to work].", "For this, {he} needed {parts}."],
        ["", "{Sky}."],
        ["{N} worked [all morning|for a long time|for hours].", "{N} [hummed a song|was very busy] and worked [all day|for hours].", "It was not easy, but {n} worked hard."],
        ["But {fail}.", "Oh no! {Fail}.", "At last the {make} was ready. But then {fail}."],
        ["\n"],
        ["\"[It is no good|I give up|I will never do it],\" said {n}[ and sat down|].", "{N} was [so angry|sad] and kicked a stone.", "\"Why does [nothing work|this happen to me]?\" cried {n}."],
        ["{C} [sat down next to {n}|had seen it all|came to look]. \"[Do not give up|Try again],\" said {c}."],
        ["\"[What can you change|What could be better]?\"", "\"Every mistake teaches us something.\"", "\"Nobody gets it right the first time.\""],
        ["{N} thought [about it|hard|for a while]. Then {he} tried again. This time {he} {better}.", "So {n} started [again|from the beginning]. This time {he} {better}."],
        ["\n"],
        ["[It worked|What a surprise]! {Result}.", "And look! {Result}.", "When the work was done, {result}."],
        ["\"[Look|See], {cv}!\" [cried|shouted] {n}. \"[It works|We did it|I did it]!\"", "\"[Well done|Wonderful|Good work]!\" said {c}.", "{N} danced around, and {c} [clapped|cheered]."],
        ["{N} learned that you must not give up too soon.", "From that day on, {n} was not afraid of mistakes.", "And that is how {n} learned to try again.",
         "\"Next time, we will make [two|a bigger one]!\" said {n}."],
    ])
