"""What is written and how it is said, per language: (written, words joined by spaces with their pauses)."""

GERMAN = [
    ("Am 3. Mai 2024 um 15:30 Uhr.", "Am dritten Mai zweitausendvierundzwanzig um fünfzehn Uhr dreißig ."),
    ("Der 3. Mai 1984", "Der dritte Mai neunzehnhundertvierundachtzig"),
    ("am 12.05.2024", "am zwölften Mai zweitausendvierundzwanzig"),
    ("2024-05-12", "zwölfte Mai zweitausendvierundzwanzig"),
    ("Um 9 Uhr, nicht um 1 Uhr", "Um neun Uhr , nicht um ein Uhr"),
    ("Das kostet 3,50 € oder 1 €.", "Das kostet drei Euro fünfzig oder ein Euro ."),
    ("0,99 € und £21", "neunundneunzig Cent und einundzwanzig Pfund"),
    ("2,5 Mio. €", "zwei Komma fünf Millionen Euro"),
    ("100 €/Monat", "einhundert Euro pro Monat"),
    ("1.234,5 km/h", "eintausendzweihundertvierunddreißig Komma fünf Kilometer pro Stunde"),
    ("ca. 20 % von 10-20 kg", "circa zwanzig Prozent von zehn bis zwanzig Kilogramm"),
    ("-5 °C", "minus fünf Grad Celsius"),
    ("1 Tonne, 1 Liter", "eine Tonne , ein Liter"),
    ("1/2 Liter", "ein halb Liter"),
    ("z.B. Dr. Müller, Hauptstr. 5", "zum Beispiel Doktor Müller , Hauptstraße fünf"),
    ("Er wurde 3. Danach ging er.", "Er wurde drei . Danach ging er ."),
    ("der 2. Platz", "der zweite Platz"),
    ("Ludwig XIV. war König", "Ludwig der vierzehnte war König"),
    ("Das ZDF und die NATO", "Das Z D F und die NATO"),
    ("Tel. 030/1234567", "Telefon null drei null , eins zwei drei vier fünf sechs sieben"),
    ("info@firma-test.de", "info ät firma Minus test Punkt D E"),
    ("MP3 und A4", "M P drei und A vier"),
    ("3 x 4 = 12, 4:2", "drei mal vier gleich zwölf , vier zu zwei"),
    ("Haus & Hof (alt)", "Haus und Hof , alt ,"),
]

SPANISH = [
    ("El 5 de mayo de 2024 a las 15:30.", "El cinco de mayo de dos mil veinticuatro a las quince treinta ."),
    ("el 1/2/2024", "el primero de febrero de dos mil veinticuatro"),
    ("cuesta 3,50 €", "cuesta tres euros con cincuenta céntimos"),
    ("£21, $10 y 1 €", "veintiuna libras , diez dólares y un euro"),
    ("2,5 millones de euros", "dos coma cinco millones de euros"),
    ("21 libras, 200 casas, 21 kg", "veintiuna libras , doscientas casas , veintiún kilos"),
    ("aprox. 20 % y 10-20 kg", "aproximadamente veinte por ciento y diez a veinte kilos"),
    ("El Sr. Gómez vive en el n.º 5", "El señor Gómez vive en el número cinco"),
    ("3.º, 2ª y 1er", "tercero , segunda y primer"),
    ("siglo XX", "siglo veinte"),
    ("la ONU, el IVA y un DVD nuevo", "la ONU , el IVA y un D V D nuevo"),
    ("info@prueba.com", "info arroba prueba punto com"),
    ("612 345 678", "seis uno dos , tres cuatro cinco , seis siete ocho"),
    ("15 h, 3/4", "quince horas , tres cuartos"),
    ("¿Cuánto son 1.234,5 km/h?", "Cuánto son mil doscientos treinta y cuatro coma cinco kilómetros por hora ?"),
    ("EE.UU. y etc.", "Estados Unidos y etcétera"),
]

FRENCH = [
    ("Le 1er mai 2024 à 15h30.", "Le premier mai deux mille vingt-quatre à quinze heures trente ."),
    ("le 14/07/1789", "le quatorze juillet mille sept cent quatre-vingt-neuf"),
    ("ça coûte 3,50 €", "ça coûte trois euros cinquante"),
    ("£21, $10 et 1 €", "vingt et une livres , dix dollars et un euro"),
    ("10 M€", "dix millions d'euros"),
    ("1 234,5 km/h", "mille deux cent trente-quatre virgule cinq kilomètres à l'heure"),
    ("env. 20 %, 10-20 kg", "environ vingt pour cent , dix à vingt kilos"),
    ("M. Dupont habite 5 av. Foch", "monsieur Dupont habite cinq avenue Foch"),
    ("3e, 2ème et 1re", "troisième , deuxième et première"),
    ("Louis XIV", "Louis quatorze"),
    ("ONU et SNCF", "ONU et S N C F"),
    ("01 23 45 67 89", "zéro un , vingt-trois , quarante-cinq , soixante-sept , quatre-vingt-neuf"),
    ("l'homme d'aujourd'hui", "l' homme d' aujourd'hui"),
    ("à 21 h", "à vingt et une heures"),
    ("info@essai.fr", "info arobase essai point F R"),
]

ITALIAN = [
    ("Il 5 maggio 2024 alle 15:30.", "Il cinque maggio duemilaventiquattro alle quindici e trenta ."),
    ("1º maggio", "primo maggio"),
    ("costa 3,50 €", "costa tre euro e cinquanta centesimi"),
    ("£1, $10 e 0,05 €", "una sterlina , dieci dollari e cinque centesimi"),
    ("2,5 milioni di euro", "due virgola cinque milioni di euro"),
    ("ca. 20 %, 10-20 kg", "circa venti per cento , dieci a venti chili"),
    ("1.234,5 km/h", "milleduecentotrentaquattro virgola cinque chilometri orari"),
    ("Il Sig. Rossi, via Roma n. 5", "Il signor Rossi , via Roma numero cinque"),
    ("3º e 2ª", "terzo e seconda"),
    ("Luigi XIV", "Luigi quattordicesimo"),
    ("la ONU, la RAI e la CGIL", "la ONU , la RAI e la C G I L"),
    ("l'acqua dell'uomo", "l' acqua dell' uomo"),
    ("+39 02 1234567", "più tre nove , zero due , uno due tre quattro cinque sei sette"),
    ("info@prova.com", "info chiocciola prova punto com"),
]

NORMALIZED = [
    (code, written, said)
    for code, cases in (("de", GERMAN), ("es", SPANISH), ("fr", FRENCH), ("it", ITALIAN))
    for written, said in cases
]

PRONOUNCED = [
    ("de", "Straße", "ʃ t ʁ aː1 s ə"),
    ("de", "und", "ʊ n t"),
    ("de", "schön", "ʃ ø1 n"),
    ("de", "C.", "ts e1"),
    ("es", "niño", "n i1 ɲ o"),
    ("es", "perro", "p e1 r o"),
    ("es", "ciudad", "θ j u ð a1 d"),
    ("es", "camión", "k a m j o1 n"),
    ("es", "J.", "x o1 t a"),
    ("fr", "les amis", "l e z a m i1"),
    ("fr", "les héros", "l e e ʁ o1"),
    ("fr", "l'homme", "l ɔ1 m"),
    ("fr", "aujourd'hui", "o ʒ u ʁ d y i1"),
    ("fr", "bonjour", "b ɔ̃ ʒ u1 ʁ"),
    ("it", "gnocchi", "ɲ ɔ1 k k i"),
    ("it", "città", "tʃ i t t a1"),
    ("it", "perché", "p e r k e2"),
    ("it", "dell'acqua", "d e l l a1 k k w a"),
]
