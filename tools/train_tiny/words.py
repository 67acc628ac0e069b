"""The words of the grammar: names, kinds, places, things. Data alone; the template language is described in grammar.py."""


def rows(keys: str, text: str) -> list[dict]:
    """Records from lines of fields between semicolons; a field of several choices, apart by `/`, has a key ending in `s`."""
    names = keys.split()
    table = []
    for line in text.strip().splitlines():
        fields = [f.strip() for f in line.split(";")]
        assert len(fields) == len(names), line
        table.append({k: [x.strip() for x in f.split("/")] if k in LISTS else f for k, f in zip(names, fields)})
    return table


LISTS = {"spots"}

GIRLS = "Lily Mia Anna Rosa Nora Ella Zoe Ruby Ivy Maya Lucy Emma Clara Daisy".split()
BOYS = "Tom Ben Sam Max Leo Finn Jack Noah Omar Tim Hugo Felix Oscar Adam".split()
PEOPLE = {"girl": "girl", "boy": "boy", "princess": "girl", "prince": "boy", "witch": "girl", "wizard": "boy"}
KINDS = "fox rabbit bear mouse duck frog squirrel cat dog dragon robot turtle pig lamb penguin owl".split()
HE_ANIMALS = "Pip Bo Rusty Moss Otto Milo Toby Biscuit".split()
SHE_ANIMALS = "Dot Tilly Fern Poppy Hazel Luna Penny Willow".split()

TRAITS = "little small kind cheerful curious clever quiet gentle young happy".split()
HOMES = ["in a house by the sea", "in a house at the end of the lane", "next to a bakery", "in a small town", "near a green hill",
         "on a farm", "in a tall house with a red door", "at the edge of a big city"]
WILD_HOMES = ["at the edge of the forest", "near a quiet pond", "under an old oak tree", "at the foot of a hill", "beside a little stream",
              "in a warm cave", "in a sunny valley", "behind an old mill"]
NIGHTS = "dark cold windy rainy quiet long".split()
WEATHERS = "sunny windy rainy cloudy cold warm bright foggy".split()
HOBBIES = ["sing", "dance", "read", "paint", "swim", "climb trees", "play the drum", "tell jokes", "bake bread", "run fast", "count stones",
           "jump over puddles", "watch the birds", "look for shells", "draw maps", "whistle"]
FOODS = "soup bread honey cheese apples berries cake nuts pie corn rice plums".split()
SKIES = {
    "sunny": ["the sky was blue", "the sun was high in the sky", "the sun shone on the roofs"],
    "bright": ["the sky was blue", "the light danced on the leaves", "the flowers were open"],
    "warm": ["bees flew from flower to flower", "the air smelled of grass", "the flowers were open"],
    "windy": ["the trees bent in the wind", "leaves flew through the air", "clouds raced across the sky"],
    "rainy": ["rain fell on the leaves", "there were puddles everywhere", "drops ran down the windows"],
    "cloudy": ["gray clouds hung over the hills", "the sky was gray", "now and then, the sun came out"],
    "foggy": ["the trees looked like ghosts", "everything was gray and quiet", "the hills were hidden"],
    "cold": ["there was ice on the puddles", "the air was clear and cold", "the ground was hard"],
    "snowy": ["snow lay on the roofs", "white flakes fell from the sky", "everything was white"],
}
COLORS = "red blue green yellow purple orange pink white silver brown".split()
TOYS = ["ball", "kite", "boat", "drum", "doll", "book", "hat", "scarf", "toy car", "toy train", "bucket", "whistle", "key", "umbrella",
        "toy rocket", "blanket"]

# Where the stories go, and spots there where a lost thing can lie.
PLACES = rows("place spots", """
the park     ; under a bench / behind the slide / in the tall grass / beside the fountain
the beach    ; behind a rock / next to a sand castle / under an old boat / in the seaweed
the forest   ; under a fern / inside a hollow log / between two roots / on a mossy stone
the farm     ; behind the barn / in a pile of hay / beside the well / under the cart
the garden   ; between the roses / under a big leaf / behind the shed / next to a pumpkin
the market   ; under a table of apples / behind the flower stand / beside the bread cart / in a basket of pears
the river    ; on the bridge / in the reeds / under the willow tree / beside a wooden post
the meadow   ; in a patch of clover / behind the stone wall / at the bottom of the hill / next to a berry bush
the castle   ; under the stone stairs / behind the gate / next to the tower / on the drawbridge
""")

# How a thing gets lost, and the weather that goes with it.
LOSSES = rows("weather loss", """
windy  ; a strong wind [blew|came], and {n} let go of the {toy}
windy  ; the wind pulled the {toy} right out of {his} arms
rainy  ; it [began|started] to rain hard, and {n} ran for cover and dropped the {toy}
rainy  ; {n} slipped in the mud and let go of the {toy}
foggy  ; the fog [grew|became] so thick that {n} could not see where the {toy} was
snowy  ; {n} [fell|tripped] in the deep snow and the {toy} flew out of sight
sunny  ; {n} put the {toy} down to chase a butterfly and forgot where it was
warm   ; {n} fell asleep in the warm sun and forgot about the {toy}
cloudy ; {n} stopped to pick berries and left the {toy} behind
cold   ; {n} ran to get warm, and the {toy} fell without a sound
""")
HELPERS = "crow snail goat toad mole sparrow beetle hen goose badger".split()

# Somebody small who needs help: what the animal is, its trouble, how it is put right, its thanks.
TROUBLES = rows("animal trouble tool fix", """
bird      ; had fallen out of its nest             ; a ladder   ; climbed up and put the bird back in its nest
kitten    ; was stuck [in|at the top of] a tall tree ; a basket ; held up the basket, and the kitten jumped in
bee       ; had fallen into a puddle               ; a leaf     ; held out the leaf, and the bee climbed onto it
turtle    ; was lying on its back                  ; a stick    ; pushed with the stick until the turtle was on its feet
puppy     ; had a thorn in its paw                 ; a soft cloth ; pulled out the thorn and put the cloth around the paw
lamb      ; was caught in a thorny bush            ; a rope     ; pulled the branches apart with the rope
duckling  ; could not find its mother              ; some bread ; left crumbs all the way to the pond, and the mother came
hedgehog  ; was cold and hungry                    ; an apple   ; gave the hedgehog the apple and made it a bed of leaves
butterfly ; could not fly because its wings were wet        ; a feather  ; dried the wings with the feather, as softly as {he} could
mouse     ; was trapped in a jar                   ; a string   ; let the string down, and the mouse climbed out
""")
THANKS = ["a white flower", "a sweet berry", "a shiny stone", "a golden feather", "a round nut", "a tiny shell"]

# What two want at once, what goes wrong, and how it can be shared.
SHARES = rows("want wrong share", """
swing    ; they both fell off                  ; take turns, and one can push the other
cake     ; the cake fell on the floor          ; cut the next cake in two
apple    ; the apple rolled into the mud       ; pick another apple and each take half
sled     ; the sled slid down the hill without them ; ride on the sled together
blanket  ; the blanket got a big hole          ; mend the hole and sit close together
drum     ; the drum rolled down the stairs     ; let one drum while the other sings
book     ; a page came out of the book         ; fix the page and read to each other
bike     ; the bike tipped over                ; ride to the tree and back, one after the other
ball     ; the ball rolled into a puddle       ; throw the ball to each other
paint    ; the paint spilled on the table      ; paint one big picture together
""")

# Fears: what they are, what makes it worse, the friend's advice, the deed.
FEARS = rows("fear scare advice deed", """
the dark        ; the lamp went out                  ; hold my arm and count to ten       ; stood in the dark and counted to a hundred
thunder         ; a loud boom shook the house        ; count to ten after each flash    ; counted to ten until the storm was far away
deep water      ; a wave splashed high               ; put in one toe first             ; put in one toe, then one foot, and then swam
the tall slide  ; the steps looked very high         ; climb one step at a time         ; climbed every step and slid all the way down
the big dog     ; the dog barked at the gate         ; let the dog smell you first      ; stood still, and the dog wagged its tail
the old bridge  ; the bridge shook in the wind       ; look ahead and not down          ; looked ahead and walked to the other side
singing         ; it was time to sing for everybody  ; close your eyes and sing to me   ; sang the whole song, and everybody clapped
the first day at school ; the bell rang very loudly  ; say hello to just one person     ; said hello to one person and made a new friend
high places     ; the ladder creaked                 ; hold on and breathe slowly       ; went to the top and saw the whole valley
spiders         ; a spider came down from the roof   ; look how small it is             ; watched the spider make a beautiful web
""")
